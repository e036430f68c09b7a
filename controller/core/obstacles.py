"""How what keeps a stage from starting shows: Pending while it lasts, one event when it begins."""

from controller.api.conditions import ConditionType
from controller.api.reasons import Reason
from controller.core.children import Obstacle
from controller.core.conditions import State, find
from controller.core.failures import RULES, Policy
from controller.core.turn import Turn

STATE_OF = {Reason.INVALID_SPEC: State.FAILED, Reason.NOT_ADMITTED: State.QUEUED}
"""What does not show as Pending."""
MISSING = frozenset(str(kind) for kind, rule in RULES.items() if rule.policy is Policy.WAIT)


def hindered(turn: Turn, obstacle: Obstacle) -> Turn:
    """The obstacle as the state; a Job that is no valid Job heals by no waiting, so it stalls."""
    state = STATE_OF.get(obstacle.reason, State.PENDING)
    warned = warned_once(turn, obstacle.reason, obstacle.message)
    return warned.in_state(state, obstacle.reason, obstacle.message)


def warned_once(turn: Turn, reason: Reason, message: str) -> Turn:
    """With a warning, unless the stored status already has the reason; a queue is no mishap."""
    said = find(turn.observed.job.status.conditions, ConditionType.FINISHED)
    if said is not None and said.reason == reason:
        return turn
    is_usual = reason is Reason.NOT_ADMITTED
    return turn.telling("Normal" if is_usual else "Warning", reason, message)


def is_shown_as_missing(turn: Turn) -> bool:
    """Whether the status says that something is missing, and the attempt may say so again."""
    said = find(turn.status.conditions, ConditionType.FINISHED)
    is_waiting = turn.run.waits > 0 and turn.status.phase == State.PENDING
    return is_waiting and said is not None and said.reason in MISSING
