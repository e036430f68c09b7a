"""The promises of the design, checked over the complete history of a case. Pure.

``Facts`` is replayed version by version; each check looks at the world just before a version and
at the version itself, and says what is wrong with it.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from cluster.api import Json
from faults.history import CHILD, JOB, POD, Change
from faults.objects import (
    attempt,
    conditions,
    is_alive,
    is_decided,
    is_going,
    is_over,
    is_true,
    labels,
    owner,
    run_of,
)

STAGE_ORDER = {"prepare": 0, "train": 1, "judge": 2}


@dataclass(frozen=True)
class Violation:
    """A promise that was broken, and where."""

    promise: str
    said: str
    revision: int = 0

    def __str__(self) -> str:
        where = f" (revision {self.revision})" if self.revision else ""
        return f"{self.promise}: {self.said}{where}"


@dataclass
class World:
    """What was there just before a version."""

    by_hand: Collection[int] = ()
    """Revisions that the case itself wrote: nobody promised anything about them."""
    removed_by_hand: Collection[str] = ()
    """Uids of what the case itself deleted."""
    now: dict[str, dict[str, Json]] = field(default_factory=lambda: {JOB: {}, CHILD: {}, POD: {}})
    gone: set[str] = field(default_factory=set)
    """Uids of FineTuneJobs that were deleted."""

    def take(self, change: Change) -> None:
        """It is so now."""
        if change.type == "DELETED":
            self.now[change.kind].pop(change.uid, None)
            if change.kind == JOB:
                self.gone.add(change.uid)
        else:
            self.now[change.kind][change.uid] = change.obj

    def before(self, change: Change) -> Json | None:
        """The version that it replaces."""
        return self.now[change.kind].get(change.uid)


Check = Callable[[World, Change], Iterable[str]]


def one_trainer(world: World, change: Change) -> Iterator[str]:
    """I1: at most one unfinished Job per FineTuneJob uid; of pods says ``no_pod_alive``."""
    if not _is_new_child(world, change):
        return
    for other in world.now[CHILD].values():
        if owner(other) == owner(change.obj) and not is_decided(other):
            yield f"{_name(change.obj)} was created while {_name(other)} was unfinished"


def no_pod_alive(world: World, change: Change) -> Iterator[str]:
    """I1: no pod of an earlier attempt is alive when the next Job is created."""
    if not _is_new_child(world, change):
        return
    for pod in world.now[POD].values():
        is_its_own = _is_of(pod, change.obj)
        if owner(pod) == owner(change.obj) and is_alive(pod) and not is_its_own:
            yield f"{_name(change.obj)} was created while pod {_name(pod)} was alive"


def recorded_first(world: World, change: Change) -> Iterator[str]:
    """The write-ahead: a Job is created for what the stored status records, and as asked."""
    if not _is_new_child(world, change):
        return
    job = world.now[JOB].get(owner(change.obj))
    if job is None:
        yield f"{_name(change.obj)} was created for an object that is not there"
        return
    run = run_of(job)
    told = (run.get("number"), run.get("stage"), run.get("attempt"))
    if told != attempt(change.obj):
        yield f"{_name(change.obj)} was created while the status recorded {told}"
    if job["spec"].get("suspend"):
        yield f"{_name(change.obj)} was created although the spec says suspend"


def result_kept(world: World, change: Change) -> Iterator[str]:
    """I2: a finished Job is told to go only when its outcome is in the status."""
    before = world.before(change)
    if change.kind != CHILD or before is None or not is_over(before) or is_going(before):
        return
    if not (is_going(change.obj) or change.type == "DELETED") or _is_excused(world, change):
        return
    job = world.now[JOB].get(owner(change.obj))
    if job is not None and not _is_past(run_of(job), attempt(change.obj)):
        yield f"{_name(change.obj)} went before its outcome was in the status"


def no_regress(world: World, change: Change) -> Iterator[str]:
    """I3: observedGeneration, run, attempts and terminal states never go back."""
    before = world.before(change)
    if change.kind != JOB or before is None or change.type == "DELETED":
        return
    if change.revision in world.by_hand:
        return
    old, new = before.get("status", {}), change.obj.get("status", {})
    if new.get("observedGeneration", -1) < old.get("observedGeneration", -1):
        yield f"observedGeneration went back to {new.get('observedGeneration')}"
    was, now = run_of(before), run_of(change.obj)
    if now.get("number", 0) < was.get("number", 0):
        yield f"run went back from {was.get('number')} to {now.get('number', 0)}"
    elif now.get("number", 0) == was.get("number", 0):
        yield from _attempts_back(was, now)
        yield from _end_undone(before, change.obj)


def _attempts_back(was: Json, now: Json) -> Iterator[str]:
    for stage, number in was.get("attempts", {}).items():
        if now.get("attempts", {}).get(stage, 0) < number:
            yield f"attempts at {stage} went back from {number}"
    if STAGE_ORDER.get(now.get("stage", ""), 0) < STAGE_ORDER.get(was.get("stage", ""), 0):
        yield f"the stage went back from {was['stage']} to {now.get('stage')}"


def _end_undone(before: Json, after: Json) -> Iterator[str]:
    """A spec that a release cannot read is refused for as long as that release is there."""
    if conditions(before).get("Finished", {}).get("reason") == "InvalidSpec":
        return
    is_same_spec = before["metadata"]["generation"] == after["metadata"]["generation"]
    for kind in ("Finished", "Succeeded", "Stalled"):
        if is_same_spec and is_true(before, kind) and not is_true(after, kind):
            yield f"{kind} was True and is no more"


def foreign_untouched(_world: World, change: Change) -> Iterator[str]:
    """I8: what is not ours keeps its spec and its life."""
    if change.kind == JOB or owner(change.obj):
        return
    if "foreign" in labels(change.obj) and (change.type == "DELETED" or is_going(change.obj)):
        yield f"{_name(change.obj)} is not ours and was deleted"
    if change.kind == CHILD and change.obj["metadata"].get("generation", 1) > 1:
        yield f"{_name(change.obj)} is not ours and was changed"


CHECKS: dict[str, Check] = {
    "I1 one trainer": one_trainer,
    "I1 no pod alive": no_pod_alive,
    "write-ahead": recorded_first,
    "I2 result kept": result_kept,
    "I3 no regress": no_regress,
    "I8 foreign untouched": foreign_untouched,
}


def broken_promises(
    changes: Iterable[Change],
    *,
    by_hand: Collection[int] = (),
    removed_by_hand: Collection[str] = (),
) -> list[Violation]:
    """Everything that is wrong with the history."""
    world = World(by_hand=by_hand, removed_by_hand=removed_by_hand)
    found = []
    for change in changes:
        for promise, check in CHECKS.items():
            found += [Violation(promise, said, change.revision) for said in check(world, change)]
        world.take(change)
    return found


def _is_new_child(world: World, change: Change) -> bool:
    is_new = change.type == "ADDED" and world.before(change) is None
    return change.kind == CHILD and is_new and bool(owner(change.obj))


def _is_of(pod: Json, job: Json) -> bool:
    owners = pod["metadata"].get("ownerReferences", [])
    return any(one["uid"] == job["metadata"]["uid"] for one in owners)


def _is_excused(world: World, change: Change) -> bool:
    """Somebody else took it away: a person, or the garbage collector after its owner."""
    return change.uid in world.removed_by_hand or owner(change.obj) in world.gone


def _is_past(run: Json, place: tuple[int, str, int]) -> bool:
    """Whether the status knows how that attempt ended."""
    number, stage, made = place
    if run.get("number", 0) > number or run.get("endTime"):
        return True
    if run.get("attempts", {}).get(stage, 0) > made:
        return True
    return STAGE_ORDER.get(run.get("stage", ""), 0) > STAGE_ORDER[stage]


def _name(obj: Json) -> str:
    return str(obj["metadata"]["name"])
