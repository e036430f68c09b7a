"""The decision about an object whose spec was admitted and that this release cannot read.

It happens when the operator is older than the CRDs, as in the middle of an upgrade. Nothing is
started, and what runs goes on: an operator that can read the spec decides about its end.
"""

from datetime import datetime

from controller.api.conditions import ConditionType
from controller.api.meta import ObjectMeta
from controller.api.reasons import Reason
from controller.api.status import FineTuneJobStatus
from controller.core.actions import Event
from controller.core.conditions import Stamp, State, is_true, put_state
from controller.core.draft import Decision
from controller.errors import SpecError


def refuse_unreadable(
    metadata: ObjectMeta,
    status: FineTuneJobStatus,
    error: SpecError,
    now: datetime,
) -> Decision[FineTuneJobStatus]:
    """Stalled, with every problem and its place; what has ended stays as it was told."""
    if has_ended(metadata, status):
        return Decision((), status, (), None)
    message = "; ".join(str(problem) for problem in error.problems)
    stamp = Stamp(metadata.generation, now)
    conditions = put_state(status.conditions, stamp, State.FAILED, Reason.INVALID_SPEC, message)
    refused = status.model_copy(
        update={
            "phase": State.FAILED.value,
            "conditions": conditions,
            "observed_generation": max(metadata.generation, status.observed_generation),
        }
    )
    is_news = conditions != status.conditions
    events = (Event("Warning", Reason.INVALID_SPEC, message),) if is_news else ()
    return Decision((), refused, events, None)


def has_ended(metadata: ObjectMeta, status: FineTuneJobStatus) -> bool:
    """Whether the end is told of this very generation: only the release is another, not the spec.

    A new default of the schema moves no generation.
    """
    is_seen = status.observed_generation >= metadata.generation
    return is_seen and is_true(status.conditions, ConditionType.FINISHED)
