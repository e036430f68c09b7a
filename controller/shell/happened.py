"""What happened to a job between two of its statuses, for the counters."""

from controller.api.conditions import ConditionType
from controller.api.reasons import Reason
from controller.api.status import FineTuneJobStatus
from controller.core.conditions import find
from controller.core.promotion import REFUSALS
from trainer.contract.verdict import Verdict

WORDS_ON_PROMOTION = (
    Reason.PROMOTED,
    Reason.PINNED,
    Reason.ROLLED_BACK,
    Reason.AWAITING_APPROVAL,
    *(Reason(verdict.value) for verdict in Verdict),
    *sorted(REFUSALS),
)
"""What is usually said of it; beside these a run may have failed."""


def has_run_begun(before: FineTuneJobStatus, after: FineTuneJobStatus) -> bool:
    """Whether the newer status is the first to record its run."""
    if after.run is None:
        return False
    return before.run is None or before.run.number != after.run.number


def has_run_ended(before: FineTuneJobStatus, after: FineTuneJobStatus) -> bool:
    """Whether the newer status is the first to say that its run is over."""
    if after.run is None or after.run.end_time is None:
        return False
    known = before.run
    return known is None or known.number != after.run.number or known.end_time is None


def word_on_promotion(before: FineTuneJobStatus, after: FineTuneJobStatus) -> Reason | None:
    """The reason of Promoted, where the newer status says something else than the older one.

    The message is looked at as well: it names the run, and a second refusal is another one.
    """
    old, new = (find(status.conditions, ConditionType.PROMOTED) for status in (before, after))
    if new is None:
        return None
    is_same = old is not None and (old.reason, old.message) == (new.reason, new.message)
    return None if is_same else new.reason
