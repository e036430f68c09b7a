"""The decision about an object whose spec was admitted and that this release cannot read.

It happens when the operator is older than the CRDs, as in the middle of an upgrade. Nothing is
started, and what runs goes on: an operator that can read the spec decides about its end.
"""

from datetime import datetime

from controller.api.meta import ObjectMeta
from controller.api.reasons import Reason
from controller.api.status import FineTuneJobStatus
from controller.core.actions import Event
from controller.core.conditions import Stamp, State, put_state
from controller.core.draft import Decision
from controller.errors import SpecError


def refuse_unreadable(
    metadata: ObjectMeta,
    status: FineTuneJobStatus,
    error: SpecError,
    now: datetime,
) -> Decision[FineTuneJobStatus]:
    """Stalled, with every problem and its place."""
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
