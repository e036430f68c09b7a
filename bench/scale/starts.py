"""Objects to Jobs: how fast, with how many writes and how much CPU, beside the bare client."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from builders.operated import Desk
from cluster.plane import ControlPlane
from cluster.process import Process

from bench.scale.bare import Bare, bare, each
from bench.scale.bodies import Bodies, Born, bodies
from bench.scale.table import Line
from bench.scale.twin import Twin, twin
from bench.scale.world import NAMESPACES, Spent, World, cpu_s, say

PATIENCE_S = 240.0
PAUSE_S = 0.15
"""Before a job that comes alone."""


@dataclass(frozen=True)
class Sitting:
    """One way to get from objects to Jobs."""

    wall_s: float
    cpu_s: float
    server_s: float
    """CPU of the API server."""


Round = dict[str, Sitting]
"""By the name of the side."""
Side = Callable[[list[str]], Awaitable[Sitting]]


def names_of(stem: str, count: int) -> list[str]:
    """Of so many objects."""
    return [f"{stem}-{number:05}" for number in range(count)]


class Subject(Protocol):
    """Whoever makes Jobs of objects."""

    @property
    def plane(self) -> ControlPlane:
        """Where."""

    @property
    def process(self) -> Process:
        """Whose CPU counts."""


async def by_operator(
    client: Bare, desk: Subject, told: Bodies, names: list[str], width: int
) -> Sitting:
    """The objects are created; the operator, or its twin, does the rest."""

    async def create(name: str) -> None:
        await client.send("POST", told.objects, told.new_of(name))

    server = desk.plane.apiserver
    async with asyncio.timeout(PATIENCE_S):
        seen = asyncio.create_task(jobs_seen(client, told, len(names)))
        await asyncio.sleep(0.3)  # the watch is there
        before, start_s = (cpu_s(desk.process), cpu_s(server)), time.monotonic()
        await each(names, create, width)
        wall_s = await seen - start_s
    after = cpu_s(desk.process), cpu_s(server)
    return Sitting(wall_s, after[0] - before[0], after[1] - before[1])


async def by_hand(
    client: Bare,
    desk: Subject,
    told: Bodies,
    names: list[str],
    width: int,
    *,
    is_looking: bool = False,
) -> Sitting:
    """The bare client creates, writes the status and creates the Job of each."""

    async def start(name: str) -> None:
        born = Born.read(await client.send("POST", told.objects, told.new_of(name)))
        await write_start(client, told, born, is_looking=is_looking)

    server = desk.plane.apiserver
    async with asyncio.timeout(PATIENCE_S):
        seen = asyncio.create_task(jobs_seen(client, told, len(names)))
        await asyncio.sleep(0.3)
        before, start_s = (time.process_time(), cpu_s(server)), time.monotonic()
        await each(names, start, width)
        wall_s = await seen - start_s
    return Sitting(wall_s, time.process_time() - before[0], cpu_s(server) - before[1])


async def write_start(client: Bare, told: Bodies, born: Born, *, is_looking: bool = False) -> None:
    """The two writes of a start; between them the live look at the object, if it is asked for."""
    await client.send("PUT", f"{told.objects}/{born.name}/status", told.status_of(born))
    if is_looking:
        await client.send("GET", f"{told.objects}/{born.name}")
    await client.send("POST", told.jobs, told.job_of(born))


async def jobs_seen(client: Bare, told: Bodies, count: int) -> float:
    """When the last of so many Jobs was seen; a Job is created after its status is written."""
    version = (await client.send("GET", f"{told.jobs}?limit=1")).partition(b'resourceVersion":"')[2]
    since = version.partition(b'"')[0].decode()
    events = client.lines(f"{told.jobs}?watch=1&resourceVersion={since}")
    async with aclosing(events):
        async for line in events:
            count -= b'"type":"ADDED"' in line
            if not count:
                return time.monotonic()
    raise EOFError("the watch of the Jobs was closed")


async def one_by_one(
    client: Bare,
    told: Bodies,
    names: Iterable[str],
    pause_s: float,
    *,
    is_by_hand: bool = False,
) -> list[float]:
    """Seconds from the request for an object to its Job, each on a quiet server."""
    found = []
    for name in names:
        seen = asyncio.create_task(jobs_seen(client, told, 1))
        await asyncio.sleep(pause_s)
        start_s = time.monotonic()
        born = Born.read(await client.send("POST", told.objects, told.new_of(name)))
        if is_by_hand:
            await write_start(client, told, born)
        found.append(await seen - start_s)
    return found


async def measure(world: World, count: int, rounds: int, alone: int, width: int) -> list[Line]:
    """Alternating rounds, then jobs one by one."""
    with world.operator("starts") as desk, twin(world, NAMESPACES[2]) as other:
        async with bare(world.plane.api, width) as client:
            sides = sides_of(client, desk, other, width)
            sat = await alternate(world, sides, count, rounds)
            writes = await writes_of(world, client, desk, count, width)
            single_writes, seconds = await alone_writes(world, client, alone)
            told, names = bodies(NAMESPACES[1]), names_of("b", alone)
            by_bare = await one_by_one(client, told, names, PAUSE_S, is_by_hand=True)
            told = bodies(NAMESPACES[2])
            by_twin = await one_by_one(client, told, names_of("t", alone), PAUSE_S)
    p50_ms = [median(each_s) * 1000 for each_s in (seconds, by_bare, by_twin)]
    p99_ms = sorted(seconds)[int(len(seconds) * 0.99)] * 1000
    return [
        *(line for side in ("bare", "looking", "twin") for line in against(sat, side, count)),
        *(cpu_line(sat, *of, count) for of in CPU),
        Line("writes per start, together", 2.0, writes[0], "", f"and {writes[1]:.2f} Events"),
        Line(
            "writes per start, one by one",
            2.0,
            single_writes[0],
            "",
            f"and {single_writes[1]:.2f} Events",
        ),
        Line(
            "one job on a quiet server, p50",
            16,
            p50_ms[0],
            "ms",
            f"p99 {p99_ms:.0f}, of {alone}; bare {p50_ms[1]:.0f}, Go twin {p50_ms[2]:.0f} ms",
        ),
    ]


SIDES = {
    "bare": "bare client",
    "looking": "bare client that reads each object live as well",
    "twin": "twin in Go on controller-runtime, 10 workers",
}
CPU = (
    ("CPU of the operator per start", 1.5, lambda one: one.cpu_s),
    ("CPU of the API server per start", None, lambda one: one.server_s),
)


def against(sat: list[Round], side: str, count: int) -> list[Line]:
    """The operator's time with that side's as the unit, round by round."""
    ratios = sorted(one["operator"].wall_s / one[side].wall_s for one in sat)
    walls = [median(one[name].wall_s for one in sat) for name in ("operator", side)]
    note = f"{ratios[0]:.2f} to {ratios[-1]:.2f}; {walls[0]:.1f} and {walls[1]:.1f} s"
    what = f"{count} objects to Jobs: time, {SIDES[side]} = 1"
    return [Line(what, 1.10 if side == "bare" else None, median(ratios), "", note)]


def cpu_line(
    sat: list[Round], what: str, target: float | None, of: Callable[[Sitting], float], count: int
) -> Line:
    """Milliseconds of one start, beside the others'."""
    found = {name: median(of(one[name]) for one in sat) / count * 1000 for name in sat[0]}
    rest = ", ".join(f"{name} {found[name]:.2f}" for name in ("bare", "twin"))
    return Line(what, target, found["operator"], "ms", f"{rest} ms")


def sides_of(client: Bare, desk: Desk, other: Twin, width: int) -> dict[str, Side]:
    """Who is measured, and in which namespace."""
    own, hand, go = (bodies(namespace) for namespace in NAMESPACES)
    return {
        "operator": lambda names: by_operator(client, desk, own, names, width),
        "bare": lambda names: by_hand(client, desk, hand, names, width),
        "looking": lambda names: by_hand(client, desk, hand, names, width, is_looking=True),
        "twin": lambda names: by_operator(client, other, go, names, width),
    }


async def alternate(world: World, sides: dict[str, Side], count: int, rounds: int) -> list[Round]:
    """Each round all of them, in changing order; one before that is not counted."""
    found: list[Round] = []
    for number in range(rounds + 1):
        one: Round = {}
        turn = number % len(sides)
        for name in [*list(sides)[turn:], *list(sides)[:turn]]:
            one[name] = await sides[name](names_of(f"r{number}", count))
            world.clear()
            await asyncio.sleep(3)
        told = (f"{k} {v.wall_s:.2f} s, {v.cpu_s / count * 1000:.2f} ms" for k, v in one.items())
        say(f"round {number}: {'; '.join(told)}; load {os.getloadavg()[0]:.1f}")
        found.append(one)
    return found[1:]


async def writes_of(
    world: World, client: Bare, desk: Desk, count: int, width: int
) -> tuple[float, float]:
    """Writes of objects per start, and Events, as the API server counted them."""
    before = world.requests()
    await by_operator(client, desk, bodies(NAMESPACES[0]), names_of("w", count), width)
    return await _written(world, before, count)


async def alone_writes(
    world: World, client: Bare, count: int
) -> tuple[tuple[float, float], list[float]]:
    """The same of objects that come one by one."""
    before = world.requests()
    seconds = await one_by_one(client, bodies(NAMESPACES[0]), names_of("a", count), PAUSE_S)
    return await _written(world, before, count), seconds


async def _written(world: World, before: Spent, count: int) -> tuple[float, float]:
    await asyncio.sleep(3)
    spent = world.requests() - before
    ours = ("finetunejobs/status", "jobs", "jobs/status")
    verbs = ("POST", "PUT", "PATCH", "DELETE")
    writes = sum(n for (verb, what), n in spent.items() if what in ours and verb in verbs)
    events = sum(n for (verb, what), n in spent.items() if what == "events" and verb in verbs)
    return writes / count, events / count
