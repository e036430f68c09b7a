"""What is wrong with a case that has come to its end. Reads, judges, changes nothing."""

from collections.abc import Collection, Iterator

from cluster.api import Json
from faults.endstate import (
    differences,
    end_state,
    without_attempts,
    without_children,
    without_generations,
    without_runs,
)
from faults.fault import Fault
from faults.invariants import Violation, broken_promises
from faults.objects import owner
from faults.requests import Sort
from faults.rig import Rig

ATTEMPTS, RUNS, CHILDREN, GENERATIONS = "attempts", "runs", "children", "generations"
INTERRUPTED = "interrupted"
ALLOWANCES = {
    ATTEMPTS: "how many attempts it took: the fault took an attempt's pod, Job or record away",
    INTERRUPTED: "whether the suspended attempt was counted: its word goes with its Job, and after"
    " a fault in that moment the attempt is started again under its own number",
    RUNS: "the run's number: the record of the first run was wiped, and the next number is new",
    CHILDREN: "which Jobs are left: the case itself has deleted some",
    GENERATIONS: "generations observed: the case has edited or remade the object, or made it begin"
    " anew after an edit",
}
"""How the end may differ from the undisturbed one, and why."""
LOOSENED = {
    ATTEMPTS: without_attempts,
    INTERRUPTED: without_attempts,
    RUNS: without_runs,
    CHILDREN: without_children,
    GENERATIONS: without_generations,
}


def wrong_with(
    rig: Rig, fault: Fault, wanted: Json | None, allows: Collection[str] = ()
) -> Iterator[Violation]:
    """Every promise that the case broke. Without a wanted end only its history is judged."""
    changes = rig.history.ordered()
    if not fault.has_struck:
        yield Violation("fault", "it never struck, so the case proves nothing")
    yield from broken_promises(changes, by_hand=rig.by_hand, removed_by_hand=rig.removed_by_hand)
    yield from left_over(rig)
    yield from fault.judged() if fault.has_struck else ()
    if wanted is not None:
        yield from _other_end(rig, wanted, {*fault.allows, *allows})
    for replica in rig.replicas:
        if "Traceback" in replica.log():
            yield Violation("log", f"replica {replica.name} wrote a traceback")


def end_of(rig: Rig) -> Json:
    """How it ended."""
    return end_state(rig.job(), rig.children(), rig.pods())


def _other_end(rig: Rig, wanted: Json, allows: Collection[str]) -> Iterator[Violation]:
    """I9: the same end as without the fault."""
    found = end_of(rig)
    for allowance in LOOSENED.keys() & allows:
        wanted, found = LOOSENED[allowance](wanted), LOOSENED[allowance](found)
    for said in differences(wanted, found):
        yield Violation("I9 same end", said)


def left_over(rig: Rig) -> Iterator[Violation]:
    """I5: nothing of an object that was deleted."""
    uid = rig.job().get("metadata", {}).get("uid")
    for obj in (*rig.all_children(), *rig.pods()):
        if owner(obj) != uid:
            yield Violation("I5 nothing left", f"{obj['metadata']['name']} has no owner any more")


def written_since(rig: Rig, since_s: float) -> Iterator[Violation]:
    """I6: no writes at rest."""
    for entry in rig.journal.of(Sort.WRITE, Sort.EVENT, since_s=since_s):
        yield Violation("I6 quiet", str(entry))
