"""Objects to Jobs: how fast, with how many writes and how much CPU, beside the bare client."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from statistics import median

from builders.operated import Desk

from bench.scale.bare import Bare, bare, each
from bench.scale.bodies import Bodies, Born, bodies
from bench.scale.table import Line
from bench.scale.world import NAMESPACES, Spent, World, cpu_s, say

PATIENCE_S = 240.0


@dataclass(frozen=True)
class Sitting:
    """One way to get from objects to Jobs."""

    wall_s: float
    cpu_s: float
    server_s: float
    """CPU of the API server."""


Act = Callable[[Bare, Desk, Bodies, list[str], int], Awaitable[Sitting]]


def names_of(stem: str, count: int) -> list[str]:
    """Of so many objects."""
    return [f"{stem}-{number:05}" for number in range(count)]


async def by_operator(
    client: Bare, desk: Desk, told: Bodies, names: list[str], width: int
) -> Sitting:
    """The objects are created; the operator does the rest."""

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
    desk: Desk,
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
    with world.operator("starts") as desk:
        async with bare(world.plane.api, width) as client:
            sat = await alternate(world, client, desk, count=count, rounds=rounds, width=width)
            writes = await writes_of(world, client, desk, count, width)
            single_writes, seconds = await alone_writes(world, client, desk, alone)
            bare_seconds = await one_by_one(
                client, bodies(NAMESPACES[1]), names_of("b", alone), 0.15, is_by_hand=True
            )
    ours, theirs, looking = zip(*sat, strict=True)
    ratios, same = against(ours, theirs), against(ours, looking)
    wall = [median(one.wall_s for one in side) for side in (ours, theirs)]
    cpu_ms = [median(one.cpu_s for one in side) / count * 1000 for side in (ours, theirs)]
    server_ms = [median(one.server_s for one in side) / count * 1000 for side in (ours, theirs)]
    p50_ms, p99_ms = median(seconds) * 1000, sorted(seconds)[int(len(seconds) * 0.99)] * 1000
    bare_ms = median(bare_seconds) * 1000
    return [
        Line(
            f"{count} objects to Jobs: time, bare client = 1",
            1.10,
            median(ratios),
            "",
            f"{spread(ratios)}, {rounds} rounds",
        ),
        Line(
            "the same, bare client that reads each object live as well = 1",
            None,
            median(same),
            "",
            spread(same),
        ),
        Line("time, operator", None, wall[0], "s"),
        Line(f"time, bare {width}-way client", None, wall[1], "s"),
        Line("CPU of the operator per start", 1.5, cpu_ms[0], "ms", f"bare {cpu_ms[1]:.2f} ms"),
        Line(
            "CPU of the API server per start",
            None,
            server_ms[0],
            "ms",
            f"bare {server_ms[1]:.2f} ms",
        ),
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
            p50_ms,
            "ms",
            f"p99 {p99_ms:.0f} ms, of {alone}; bare client, p50 {bare_ms:.0f} ms",
        ),
    ]


def against(ours: Sequence[Sitting], theirs: Sequence[Sitting]) -> list[float]:
    """Ratios of the times, round by round, in order of size."""
    pairs = zip(ours, theirs, strict=True)
    return sorted(own.wall_s / other.wall_s for own, other in pairs)


def spread(ratios: Sequence[float]) -> str:
    """The smallest and the largest."""
    return f"{ratios[0]:.2f} to {ratios[-1]:.2f}"


async def alternate(
    world: World, client: Bare, desk: Desk, *, count: int, rounds: int, width: int
) -> list[tuple[Sitting, Sitting, Sitting]]:
    """Each round all three, in changing order; one before that is not counted."""
    own, other = (bodies(namespace) for namespace in NAMESPACES)
    sides: list[tuple[Act, Bodies]] = [
        (by_operator, own),
        (by_hand, other),
        (partial(by_hand, is_looking=True), other),
    ]
    found = []
    for number in range(rounds + 1):
        sittings: dict[int, Sitting] = {}
        for side in sorted(range(len(sides)), key=lambda side: (side + number) % len(sides)):
            act, told = sides[side]
            sittings[side] = await act(client, desk, told, names_of(f"r{number}", count), width)
            world.clear()
            await asyncio.sleep(3)
        ours, theirs, looking = (sittings[side] for side in range(len(sides)))
        say(
            f"round {number}: operator {ours.wall_s:.2f} s, bare {theirs.wall_s:.2f} s, "
            f"looking {looking.wall_s:.2f} s, CPU {ours.cpu_s / count * 1000:.2f} and "
            f"{theirs.cpu_s / count * 1000:.2f} ms, load {os.getloadavg()[0]:.1f}"
        )
        found.append((ours, theirs, looking))
    return found[1:]


async def writes_of(
    world: World, client: Bare, desk: Desk, count: int, width: int
) -> tuple[float, float]:
    """Writes of objects per start, and Events, as the API server counted them."""
    before = world.requests()
    await by_operator(client, desk, bodies(NAMESPACES[0]), names_of("w", count), width)
    return await _written(world, before, count)


async def alone_writes(
    world: World, client: Bare, desk: Desk, count: int
) -> tuple[tuple[float, float], list[float]]:
    """The same of objects that come one by one."""
    del desk
    before = world.requests()
    seconds = await one_by_one(client, bodies(NAMESPACES[0]), names_of("a", count), 0.15)
    return await _written(world, before, count), seconds


async def _written(world: World, before: Spent, count: int) -> tuple[float, float]:
    await asyncio.sleep(3)
    spent = world.requests() - before
    ours = ("finetunejobs/status", "jobs", "jobs/status")
    verbs = ("POST", "PUT", "PATCH", "DELETE")
    writes = sum(n for (verb, what), n in spent.items() if what in ours and verb in verbs)
    events = sum(n for (verb, what), n in spent.items() if what == "events" and verb in verbs)
    return writes / count, events / count
