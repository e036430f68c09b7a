"""A promoted adapter as one more arm, where the two can be compared at all.

Comparable: the promoted run answered under the same generation settings with the same metric, and
there are items that both were tested on and neither was trained on (``lineage``). Where they can
not be compared the promotion is not blocked, and a note says so: the gates against the base arms
still hold, and blocking would freeze a job for ever on its first metric.

After a spec change it has to be better than the adapter in use. After a base change it has to be
not worse than the *anchor*, the best that was promoted so far: each of ten new bases may cost less
than the margin against the one before, and all of them together must not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trainer.contract.failures import FailureClass
from trainer.contract.request import StageRequest
from trainer.contract.spec import Arm, Require
from trainer.data.prepared import open_prepared
from trainer.errors import StageError
from trainer.judge import ledger
from trainer.judge.basechange import base_change_note
from trainer.judge.evidence import Rival, promoted_gate
from trainer.judge.lineage import Shared, shared_items
from trainer.judge.reading import RunRecord, by_arm, read_answers
from trainer.store.base import Store
from trainer.store.checked import read_answers_manifest, read_manifest
from trainer.store.manifest import TUNED, ArmAnswer

MARGIN = float(Arm.model_fields["margin"].default)
"""How much worse an adapter on a newer base may be."""


@dataclass(frozen=True)
class Bar:
    """The runs that a candidate is measured against; both empty before the first promotion."""

    against: str = ""
    """In use when it was first judged."""
    anchor: str = ""
    """The best promoted until then."""


@dataclass(frozen=True)
class Challenge:
    """The comparison, or the reasons why there is none."""

    rival: Rival | None
    notes: Sequence[str] = ()
    best: Rival | None = None
    """The anchor, where the candidate can be compared with it, whatever the gate asks against."""


@dataclass(frozen=True)
class Contest:
    """A run on its way to be compared."""

    store: Store
    request: StageRequest
    run: RunRecord
    work: Path


def challenge(contest: Contest, bar: Bar) -> Challenge:
    """Hold the tuned scores against the anchor's or the adapter's in use, item by item."""
    request, run = contest.request, contest.run
    setting = request.spec.evaluation.against_promoted
    if not bar.against or setting == "Off" or TUNED not in run.answers:
        return Challenge(None)
    require = setting if setting != "Auto" else _required(contest, bar.against)
    found = _held_against(contest, _opponents(contest, bar, require), require)
    if require == "Better" and bar.anchor not in ("", bar.against):
        found = replace(found, best=_compare(contest, bar.anchor, "NotWorse").rival)
    notes = [_base_note(contest, bar.against), *found.notes]
    return replace(found, notes=[note for note in notes if note])


def next_anchor(run_id: str, best: Rival | None) -> str:
    """What a promoted run leaves as the anchor: itself, or what it was not better than.

    A run that is better than the one in use may still be worse than the best: the anchor stays
    there, or changes of the spec and of the base in turn would lose a margin each time.
    """
    if best is None:
        return run_id
    return best.run_id if sum(best.scores) > sum(best.tuned) else run_id


def _opponents(contest: Contest, bar: Bar, require: Require) -> list[str]:
    """In the order in which they are tried."""
    is_anchored = require == "NotWorse" and bar.anchor not in ("", contest.request.run_id)
    return list(dict.fromkeys([bar.anchor, bar.against] if is_anchored else [bar.against]))


def _held_against(contest: Contest, opponents: Sequence[str], require: Require) -> Challenge:
    notes: list[str] = []
    for run_id in opponents:
        found = _compare(contest, run_id, require)
        notes += found.notes
        if found.rival is not None:
            is_anchor = len(opponents) > 1 and run_id == opponents[0]
            said = [_anchored(run_id), *notes] if is_anchor else notes
            return Challenge(found.rival, said, best=found.rival)
    return Challenge(None, notes)


def _compare(contest: Contest, run_id: str, require: Require) -> Challenge:
    run = contest.run
    answers = _tuned_answers(contest, run_id)
    if not answers:
        return _incomparable(run_id, "has no answers under the same generation settings")
    shared = _shared(contest, run_id)
    if shared is None:
        return _incomparable(run_id, "has no prepared rows any more that show what it trained on")
    indices = [index for index in shared.indices if run.items[index].id in answers]
    if not indices:
        why = "was trained on the rows that both have" if shared.trained_on else ""
        return _incomparable(run_id, why or "was tested on other rows")
    ours = run.answers[TUNED].scores
    rival = Rival(
        run_id=run_id,
        gate=promoted_gate(require, MARGIN, contest.request.spec.evaluation),
        tuned=[ours[index] for index in indices],
        scores=[answers[run.items[index].id].score for index in indices],
        groups=[run.items[index].group for index in indices],
    )
    return Challenge(rival, _coverage(len(indices), shared, run))


def _shared(contest: Contest, run_id: str) -> Shared | None:
    try:
        theirs = open_prepared(contest.store, run_id, contest.work / run_id / "prepared")
    except StageError as error:
        if error.failure is FailureClass.UNAVAILABLE:
            raise
        return None
    return shared_items(contest.run.prepared, contest.run.items, theirs)


def _tuned_answers(contest: Contest, run_id: str) -> Mapping[str, ArmAnswer]:
    """What the promoted run answered; nothing if its files are gone or not what they were."""
    store, request = contest.store, contest.request
    try:
        answered = read_answers_manifest(store, run_id, request.generation_hash)
        if answered is None or answered.not_needed:
            return {}
        return by_arm(read_answers(store, answered, contest.work)).get(TUNED, {})
    except StageError as error:
        if error.failure is FailureClass.UNAVAILABLE:
            raise
        return {}


def _required(contest: Contest, against: str) -> Require:
    """Better after a spec change; NotWorse for the same recipe, on another base or tested anew."""
    recipe = ledger.recipe(contest.request, contest.run.prepared.plan)
    return "NotWorse" if ledger.recipe_of(contest.store, against) == recipe else "Better"


def _base_note(contest: Contest, against: str) -> str:
    """What else changed with the base model; nothing where the other's manifest is gone."""
    try:
        theirs = read_manifest(contest.store, against)
    except StageError as error:
        if error.failure is FailureClass.UNAVAILABLE:
            raise
        return ""
    return "" if theirs is None else base_change_note(theirs.base, contest.run.prepared.plan.base)


def _anchored(run_id: str) -> str:
    return (
        f"The promoted adapter that it must not be worse than is run {run_id}, the best promoted "
        "so far, not the last: small losses do not add up."
    )


def _coverage(count: int, shared: Shared, run: RunRecord) -> list[str]:
    if count == len(run.items):
        return []
    left_out = f"; {shared.trained_on} more were trained on" if shared.trained_on else ""
    return [
        f"The promoted adapter is compared on the {count} test items that both runs have{left_out}."
    ]


def _incomparable(against: str, why: str) -> Challenge:
    return Challenge(None, [f"Not compared with the promoted run {against}, which {why}."])
