"""A leader that dies, and one that goes in good order: how long until the other one acts?"""

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable

from builders.operated import Desk
from cluster.api import ApiFailed
from cluster.process import wait_until

from bench.scale.bodies import bodies
from bench.scale.table import Line
from bench.scale.world import NAMESPACES, World, say

PATIENCE_S = 60.0
JSON, CREATED, CONFLICT = "application/json", 201, 409
SELECTOR = "labelSelector=tunekeeper.dev/job%3D"


def measure(world: World, times: int) -> list[Line]:
    """Each so many times, the worst of them."""
    killed = [_passed_on(world, f"k{n}", lambda desk: desk.process.kill()) for n in range(times)]
    clean = [_passed_on(world, f"h{n}", _terminate) for n in range(times)]
    note = f"worst of {times}, 15/10/2 s"
    return [
        Line("leader killed: the standby's first Job", 18, max(killed), "s", note),
        Line("clean handover: the standby's first Job", 3, max(clean), "s", f"worst of {times}"),
    ]


def _terminate(desk: Desk) -> None:
    os.kill(desk.process.pid, signal.SIGTERM)


def _passed_on(world: World, name: str, end: Callable[[Desk], None]) -> float:
    """Seconds from the end to the Job of an object that came at that moment."""
    with world.operator(f"{name}-a") as leader:
        wait_until(lambda: leads(leader), "it leads", PATIENCE_S)
        with world.operator(f"{name}-b"):
            time.sleep(1)
            start_s = time.monotonic()
            end(leader)
            seconds = first_job(world, name, start_s)
    say(f"{name}: {seconds:.1f} s")
    return seconds


def first_job(world: World, name: str, start_s: float) -> float:
    """An object is created; seconds from then on until its Job is there."""
    told = bodies(NAMESPACES[0])

    def create() -> bool:
        body = json.loads(told.new_of(name))
        with contextlib.suppress(OSError):
            return world.plane.api.raw("POST", told.objects, body, JSON)[0] in (CREATED, CONFLICT)
        return False

    wait_until(create, f"{name} is created", PATIENCE_S, 0.2)

    def has_job() -> object:
        with contextlib.suppress(OSError, ApiFailed):
            return world.plane.api.get(f"{told.jobs}?{SELECTOR}{name}")["items"]
        return None

    wait_until(has_job, f"{name} has a Job", PATIENCE_S, 0.05)
    return time.monotonic() - start_s


def leads(desk: Desk) -> bool:
    """Whether it says so."""
    return "\ntunekeeper_leader 1.0" in desk.read("/metrics")
