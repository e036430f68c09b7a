"""Every case: which fault strikes where in which life."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from faults import atwatches, atwrites, edits, hands, leaders, wide
from faults.case import Case
from faults.fault import Fault
from faults.scenarios import OFTEN_RETRIED, SCENARIOS, SUCCESS, Scenario
from faults.watching import WATCHED

AT_WRITES = {
    "kill-before": atwrites.KillBefore,
    "kill-after": atwrites.KillAfter,
    "reply-lost": atwrites.ReplyLost,
    "conflict": atwrites.Conflict,
    "burst-500": atwrites.Burst,
    "burst-429": atwrites.Patience,
}

AT_WATCHES = {"gone-by-event": atwatches.GoneByEvent, "gone-by-status": atwatches.GoneByStatus}
LEADERS = {
    "asleep-before": leaders.AsleepBefore,
    "asleep-long": partial(leaders.AsleepBefore, ahead=3),
    "asleep-after": leaders.AsleepAfter,
}
UNSEEN = {"unseen-suspend": edits.UnseenSuspend, "unseen-recreate": edits.UnseenRecreate}
BY_HAND = {
    "recreated": hands.Recreated,
    "status-wiped": hands.StatusWiped,
    "job-deleted": partial(hands.JobsDeleted, policy="Background"),
    "job-orphaned": partial(hands.JobsDeleted, policy="Orphan"),
    "pod-deleted": partial(hands.PodsDeleted, is_forced=False),
    "pod-forced": partial(hands.PodsDeleted, is_forced=True),
}

Paths = Mapping[str, Sequence[str]]
"""The writes of each scenario, as recorded."""


def every_case(paths: Paths) -> list[Case]:
    """In a fixed order."""
    found = [case for scenario in SCENARIOS for case in _of(scenario, paths[scenario.name])]
    return [*found, *_special(paths)]


def _of(scenario: Scenario, path: Sequence[str]) -> Iterator[Case]:
    yield from _at_every_write(scenario, path, {**AT_WRITES, **LEADERS})
    yield from _at_every_write(scenario, path, AT_WATCHES, is_meant=is_create)
    yield from _at_every_write(scenario, path, {"away": atwatches.Away}, is_meant=is_create)
    for resource in WATCHED:
        stale = {f"stale-{resource}": partial(atwatches.Stale, resource=resource)}
        yield from _at_every_write(scenario, path, stale, is_meant=is_create)
    before_creates = {number for number in range(1, len(path)) if is_create(path[number])}
    yield from _at_every_write(scenario, path, UNSEEN, numbers=before_creates)
    yield from _by_hand(scenario, BY_HAND)
    yield from _alone(scenario, path)


def _alone(scenario: Scenario, path: Sequence[str]) -> Iterator[Case]:
    """Those that disturb the whole control plane."""
    restarts = {"etcd-restart": wide.EtcdRestart}
    found = [*_at_every_write(scenario, path, restarts), *_by_hand(scenario, wide.UPGRADES)]
    yield from (replace(case, is_alone=True) for case in found)


def _special(paths: Paths) -> Iterator[Case]:
    """Those that need a life of their own, and the mutants that the suite must catch."""
    asleep = partial(leaders.SleepsPastCleanup, first_train(paths[OFTEN_RETRIED.name]))
    name = "sleeps-past-cleanup"
    yield Case(f"{OFTEN_RETRIED.name}/{name}", name, OFTEN_RETRIED, asleep)
    status = first_train(paths[SUCCESS.name])
    for mutant, promise, fault in (
        ("no-live-look", "write-ahead", partial(edits.UnseenSuspend, status)),
        ("no-write-ahead", "write-ahead", partial(atwrites.KillAfter, 1)),
        ("no-precondition", "I3 no regress", partial(leaders.AsleepBefore, status, ahead=3)),
    ):
        name = f"mutant-{mutant}"
        yield Case(f"{SUCCESS.name}/{name}", name, SUCCESS, fault, mutant, promise)


def first_train(path: Sequence[str]) -> int:
    """The status write that records the first attempt at train."""
    return 1 + path.index("put-status-train-1-running")


def is_create(write: str) -> bool:
    """Whether a stage is started by it: where the life goes on to the next stage."""
    return write.startswith("post-jobs")


def _at_every_write(
    scenario: Scenario,
    path: Sequence[str],
    faults: Mapping[str, Callable[[int], Fault]],
    is_meant: Callable[[str], bool] = lambda _: True,
    numbers: Collection[int] = (),
) -> Iterator[Case]:
    for number, write in enumerate(path, start=1):
        if is_meant(write) and (not numbers or number in numbers):
            for kind, fault in faults.items():
                name = f"{scenario.name}/{number:02}-{write}/{kind}"
                yield Case(name, kind, scenario, partial(fault, number))


def _by_hand(scenario: Scenario, faults: Mapping[str, Callable[[str], Fault]]) -> Iterator[Case]:
    points = [*scenario.stages, "ended", *scenario.points]
    for kind, fault in faults.items():
        for point in points:
            if (kind, point) in scenario.without:
                continue
            name = f"{scenario.name}/{point}/{kind}"
            yield Case(name, kind, scenario, partial(fault, point))
