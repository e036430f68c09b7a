"""What the bench measures, in small and in counts: writes per start, a restart, a mass restore."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from builders.operated import Desk, operated
from cluster.api import Json
from cluster.plane import ControlPlane
from cluster.process import wait_until

TOGETHER, ALONE, RESTORED, LIMIT = 20, 5, 12, 3
SETTLED_S = 60.0


def names_of(stem: str, count: int) -> list[str]:
    return [f"{stem}-{number:02}" for number in range(count)]


def apply_all(desk: Desk, names: list[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(desk.apply, names))


def job_names(desk: Desk) -> set[str]:
    """Of the objects that have a Job."""
    return {job["metadata"]["labels"]["tunekeeper.dev/job"] for job in desk.jobs()}


def own_writes(desk: Desk) -> float:
    """As the operator counts them."""
    lines = desk.read("/metrics").splitlines()
    return sum(float(one.split()[-1]) for one in lines if one.startswith("tunekeeper_writes_total"))


def versions(desk: Desk, path: str, since: Json) -> list[Json]:
    """Everything that was written there since then, by whomever, but for new objects."""
    found = desk.writes(path, since)
    return [event["object"] for event in found if event["type"] == "MODIFIED"]


@contextmanager
def counted(desk: Desk, count: int) -> Iterator[None]:
    """So many starts lie in the block; each is one status and one Job, and nothing comes after."""
    before, had, since = own_writes(desk), len(desk.jobs()), desk.plane.api.get(desk.path(""))
    yield
    wait_until(lambda: len(desk.jobs()) == had + count, "each has a Job", SETTLED_S)
    wait_until(lambda: own_writes(desk) >= before + 2 * count, "they are counted", SETTLED_S)
    statuses = versions(desk, desk.path(""), since)  # watches for a second more
    assert len(statuses) == count
    assert own_writes(desk) - before == 2 * count


def test_a_start_is_two_writes_whether_jobs_come_together_or_one_by_one(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace, watch_namespaces=namespace) as desk:
        with counted(desk, TOGETHER):
            apply_all(desk, names_of("together", TOGETHER))
        with counted(desk, ALONE):
            for name in names_of("alone", ALONE):
                desk.apply(name)
                wait_until(lambda name=name: name in job_names(desk), f"{name} has a Job")


def test_a_restart_among_settled_jobs_writes_nothing(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace, watch_namespaces=namespace) as desk:
        apply_all(desk, names_of("s", TOGETHER))
        wait_until(lambda: len(desk.jobs()) == TOGETHER, "each has a Job", SETTLED_S)
        wait_until(lambda: all(seen(desk, "status.phase")), "each has its status")
        desk.stop()
        before = plane.api.get(desk.path(""))
        desk.start()
        wait_until(lambda: decided(desk) >= TOGETHER, "each was decided", SETTLED_S)
        assert versions(desk, desk.path(""), before) == []
        assert own_writes(desk) == 0
        assert len(desk.jobs()) == TOGETHER


def seen(desk: Desk, what: str) -> list[str]:
    section, name = what.split(".")
    items = desk.plane.api.get(desk.path(""))["items"]
    return [item.get(section, {}).get(name, "") for item in items]


def decided(desk: Desk) -> float:
    """Reconciles of this process."""
    name = r'controller_runtime_reconcile_total\{controller="finetunejob",'
    lines = desk.read("/metrics").splitlines()
    return sum(float(one.split()[-1]) for one in lines if re.match(name, one))


def test_a_mass_restore_starts_no_more_than_its_limit_and_the_oldest_first(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace, watch_namespaces=namespace, max_concurrent_runs=LIMIT) as desk:
        desk.stop()
        old, young = names_of("z-old", LIMIT), names_of("a-young", RESTORED - LIMIT)
        apply_all(desk, old)
        time.sleep(1.1)  # ages are told apart by the second
        apply_all(desk, young)
        desk.start()
        wait_until(lambda: seen(desk, "status.phase").count("Queued") == len(young), "they wait")
        wait_until(lambda: len(job_names(desk)) >= LIMIT, "as many start")
        assert job_names(desk) == set(old)
        for number, name in enumerate(old):
            desk.edit(name, suspend=True)
            wait_until(lambda n=number: len(job_names(desk) - set(old)) == n + 1, "the next starts")
            assert unfinished(desk) <= LIMIT
        assert job_names(desk) - set(old) == set(young[:LIMIT])


def unfinished(desk: Desk) -> int:
    """Jobs that nobody has told to go."""
    return sum("deletionTimestamp" not in job["metadata"] for job in desk.jobs())
