"""Jobs and pods on a cluster -> the errands of a BaseModel that the core decides about. Pure."""

from collections.abc import Sequence

from controller.core.children import AnyChild
from controller.core.watching.child import ErrandChild
from controller.kube.objects import KubeObject
from controller.shell import kinds
from controller.shell.children import Sort, family_of, number_in
from controller.shell.pods import errand_word_of
from controller.shell.records import Job, Pod
from trainer.contract.errand import Errand

ERRANDS = frozenset(errand.value for errand in Errand)

Place = tuple[Errand, int]
"""Which errand, and its number."""


def errands_of(uid: str, jobs: Sequence[Job], pods: Sequence[Pod]) -> tuple[ErrandChild, ...]:
    """Every errand of the object with that uid, oldest first."""
    return family_of(uid, jobs, pods, SORT)


def errand_place_of(obj: KubeObject, uid: str) -> Place | None:
    """Which errand of the object a Job or pod is, by its labels."""
    labels = obj.metadata.labels
    errand, number = labels.get(kinds.ERRAND_LABEL), number_in(labels.get(kinds.NUMBER_LABEL))
    if labels.get(kinds.UID_LABEL) != uid or errand not in ERRANDS or not number:
        return None
    return Errand(errand), number


def _make(told_by: KubeObject, place: Place, known: AnyChild, teller: Pod | None) -> ErrandChild:
    outcome, details = errand_word_of(teller) if teller is not None else (None, None)
    errand, number = place
    return ErrandChild(
        **vars(known),
        errand=errand,
        number=number,
        source_hash=told_by.metadata.labels.get(kinds.SPEC_HASH_LABEL, ""),
        outcome=outcome,
        details=details,
    )


SORT = Sort(errand_place_of, lambda pod: errand_word_of(pod)[0] is not None, _make)
