"""The promoted adapter as one more arm, where the two can be compared at all.

Comparable: the promoted run answered under the same generation settings with the same metric, and
the two test splits share items. An item in both test splits is in neither run's training lineage.
Where they can not be compared the promotion is not blocked, and a note says so: the gates
against the base arms still hold, and blocking would freeze a job for ever on its first metric.
Asking the promoted adapter anew, and a margin anchored to the best ever promoted, is not here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.contract.failures import FailureClass
from trainer.contract.request import StageRequest
from trainer.contract.spec import Arm, Require
from trainer.errors import StageError
from trainer.judge import ledger
from trainer.judge.evidence import Rival, promoted_gate
from trainer.judge.reading import RunRecord, by_arm, read_answers
from trainer.store.base import Store
from trainer.store.checked import read_answers_manifest
from trainer.store.manifest import TUNED, ArmAnswer

MARGIN = float(Arm.model_fields["margin"].default)
"""How much worse an adapter on a newer base may be."""


@dataclass(frozen=True)
class Challenge:
    """The comparison, or the reason why there is none."""

    rival: Rival | None
    note: str = ""


def challenge(
    store: Store, request: StageRequest, run: RunRecord, against: str, work: Path
) -> Challenge:
    """Hold the tuned scores against the promoted run's, item by item. ``against`` may be empty."""
    setting = request.spec.evaluation.against_promoted
    if not against or setting == "Off" or TUNED not in run.answers:
        return Challenge(None)
    answers = _tuned_answers(store, request, against, work)
    if not answers:
        return _incomparable(against, "has no answers under the same generation settings")
    shared = [index for index, item in enumerate(run.items) if item.id in answers]
    if not shared:
        return _incomparable(against, "was tested on other rows")
    require = setting if setting != "Auto" else _required(store, request, run, against)
    ours = run.answers[TUNED].scores
    rival = Rival(
        run_id=against,
        gate=promoted_gate(require, MARGIN, request.spec.evaluation),
        tuned=[ours[index] for index in shared],
        scores=[answers[run.items[index].id].score for index in shared],
        groups=[run.items[index].group for index in shared],
    )
    return Challenge(rival, _coverage(shared, run))


def _tuned_answers(
    store: Store, request: StageRequest, run_id: str, work: Path
) -> Mapping[str, ArmAnswer]:
    """What the promoted run answered; nothing if its files are gone or not what they were."""
    try:
        answered = read_answers_manifest(store, run_id, request.generation_hash)
        if answered is None or answered.not_needed:
            return {}
        return by_arm(read_answers(store, answered, work)).get(TUNED, {})
    except StageError as error:
        if error.failure is FailureClass.UNAVAILABLE:
            raise
        return {}


def _required(store: Store, request: StageRequest, run: RunRecord, against: str) -> Require:
    """Better after a spec change; NotWorse for the same recipe, on another base or tested anew."""
    same_recipe = ledger.recipe_of(store, against) == ledger.recipe(request, run.prepared.plan)
    return "NotWorse" if same_recipe else "Better"


def _coverage(shared: Sequence[int], run: RunRecord) -> str:
    if len(shared) == len(run.items):
        return ""
    return f"The promoted adapter is compared on the {len(shared)} test items that both runs have."


def _incomparable(against: str, why: str) -> Challenge:
    return Challenge(None, f"Not compared with the promoted run {against}, which {why}.")
