"""So many settled objects and children: memory, what standing still costs, a restart."""

import asyncio
import os
import time

from builders.operated import Desk

from bench.scale.bare import Bare, bare, each
from bench.scale.bodies import Bodies, Born, bodies
from bench.scale.starts import names_of, write_start
from bench.scale.table import Line
from bench.scale.twin import Twin, twin
from bench.scale.world import NAMESPACES, Spent, World, cpu_s, memory_mb, say, series

BUSY = 0.05
"""Of a core: above it a process works, below it, it is at rest."""
REST_S = 3.0
PATIENCE_S = 180.0
WATCHED = ("finetunejobs", "basemodels", "jobs", "pods", "events")
WRITES = ("POST", "PUT", "PATCH", "DELETE")


async def fill(world: World, count: int, width: int) -> None:
    """Objects that are in the middle of their first stage, with its Job."""
    told, done = bodies(NAMESPACES[0]), 0

    async def one(client: Bare, told: Bodies, name: str) -> None:
        nonlocal done
        born = Born.read(await client.send("POST", told.objects, told.new_of(name)))
        await write_start(client, told, born)
        done += 1
        if done % 1000 == 0:
            say(f"{done} objects with a status and a Job each")

    async with bare(world.plane.api, width) as client:
        await each(names_of("s", count), lambda name: one(client, told, name), width)


def measure(world: World, count: int, idle_s: float, width: int) -> list[Line]:
    """They are there before the operator starts, twice."""
    say(f"making {count} objects and Jobs")
    asyncio.run(fill(world, count, width))
    with world.operator("first", is_awaited=False) as desk:
        at_rest(desk)
    before = world.requests()
    with world.operator("restart", is_awaited=False) as desk:
        led_s, busy_s, used_s = at_rest(desk)
        spent = world.requests() - before
        steady, peak = memory_mb(desk.process)
        say(f"restarted in {busy_s:.1f} s; {steady:.0f} MB, idle for {idle_s:.0f} s")
        idle_before, cpu_before = world.requests(), cpu_s(desk.process)
        time.sleep(idle_s)
        idle = (cpu_s(desk.process) - cpu_before) / idle_s * 100
        idle_spent = world.requests() - idle_before
        settled = memory_mb(desk.process)[0]
        looked_at = series(desk, "controller_runtime_reconcile_total")
        scraped = memory_mb(desk.process)[1]
    assert looked_at >= count, f"only {looked_at:.0f} of {count} objects were decided"  # noqa: S101
    load = f"load {os.getloadavg()[0]:.1f}"
    return [
        Line(f"memory with {count} objects and Jobs", 160, max(steady, settled), "MB"),
        Line(
            "memory, peak of a start with them", 240, peak, "MB", f"{scraped:.0f} MB after a scrape"
        ),
        Line(
            "restart with them, until at rest",
            4.0,
            busy_s,
            "s",
            f"{led_s:.1f} s until it leads, CPU {used_s:.1f} s, {load}",
        ),
        Line("restart, writes of objects", 0, writes(spent), ""),
        Line(f"idle with them, {idle_s:.0f} s", 0.5, idle, "% of a core"),
        Line("idle, writes of objects", 0, writes(idle_spent), ""),
        Line("idle, lists", 0, lists(idle_spent), ""),
        *measure_twin(world),
    ]


def measure_twin(world: World) -> list[Line]:
    """The same of the twin in Go: the objects have their status and their Job."""
    before = world.requests()
    with twin(world, NAMESPACES[0], is_awaited=False) as other:
        _, busy_s, used_s = at_rest(other, "Starting workers")
        steady, peak = memory_mb(other.process)
    spent = world.requests() - before
    assert not writes(spent), f"the twin wrote: {spent}"  # noqa: S101 - it had nothing to do
    return [
        Line("twin in Go: memory; peak", None, steady, "MB", f"{peak:.0f} MB"),
        Line("twin in Go: restart, until at rest", None, busy_s, "s", f"CPU {used_s:.1f} s"),
    ]


def at_rest(desk: Desk | Twin, sign: str = '"leading"') -> tuple[float, float, float]:
    """Seconds from now until it leads and until it rests, and the CPU that it has used then."""
    start_s = last_s = time.monotonic()
    used_s, led_s, step_s = 0.0, 0.0, 0.5
    while time.monotonic() - last_s < REST_S or not led_s:
        assert time.monotonic() - start_s < PATIENCE_S, desk.process.tail()  # noqa: S101
        time.sleep(step_s)
        desk.process.check()
        if not led_s and sign in desk.log():
            last_s = time.monotonic()
            led_s = last_s - start_s
        now_s = cpu_s(desk.process)
        if now_s - used_s > BUSY * step_s:
            last_s = time.monotonic()
        used_s = now_s
    return led_s, max(led_s, last_s - start_s), used_s


def writes(spent: Spent) -> int:
    """Of objects and children, Events aside."""
    ours = ("finetunejobs/status", "jobs")
    return sum(n for (verb, what), n in spent.items() if verb in WRITES and what in ours)


def lists(spent: Spent) -> int:
    """Of what the operator watches."""
    return sum(n for (verb, what), n in spent.items() if verb == "LIST" and what in WATCHED)
