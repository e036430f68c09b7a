"""The decision about a BaseModel whose spec was admitted and that this release cannot read."""

from datetime import datetime

from controller.api.basemodel import BaseModelStatus
from controller.api.conditions import ConditionType
from controller.api.meta import ObjectMeta
from controller.api.reasons import Reason
from controller.core.actions import Event
from controller.core.conditions import Stamp, put_each
from controller.core.draft import Decision
from controller.core.watching.conditions import TABLE, State
from controller.errors import SpecError


def refuse_unreadable_base(
    metadata: ObjectMeta,
    status: BaseModelStatus,
    error: SpecError,
    now: datetime,
) -> Decision[BaseModelStatus]:
    """Stalled, with every problem and its place; what runs goes on, latest stays."""
    message = "; ".join(str(problem) for problem in error.problems)
    row, stamp = TABLE[State.STALLED], Stamp(metadata.generation, now)
    truths = (
        (ConditionType.READY, row.ready),
        (ConditionType.RECONCILING, row.reconciling),
        (ConditionType.STALLED, row.stalled),
    )
    known = status.conditions
    conditions = put_each(known, stamp, truths, Reason.INVALID_SPEC, message)
    seen = max(metadata.generation, status.observed_generation)
    refused = status.model_copy(update={"conditions": conditions, "observed_generation": seen})
    is_news = conditions != known
    events = (Event("Warning", Reason.INVALID_SPEC, message),) if is_news else ()
    return Decision((), refused, events, None)
