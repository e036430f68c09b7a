"""What may still be alive although nobody can see it end: a pod that was told to go, on its node.

Nothing starts beside it. While it may take its time the status says Stopping; once that is over its
node does not answer, and only a person can know that the pod is dead: NodeLost, told once.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from controller.api.reasons import Reason
from controller.core.children import AnyChild
from controller.core.conditions import State
from controller.core.failures import RULES
from controller.core.obstacles import warned_once
from controller.core.turn import Turn

LOST_AFTER = timedelta(seconds=30)
"""After the time by which a pod has to be gone; a kubelet that works needs a second or two."""

LOOK_AGAIN_S = 300.0
"""At least so often: a clock that was set back thinks that much more is left."""


def are_cut_off(children: Sequence[AnyChild], now: datetime) -> bool:
    """Whether a pod of them should have been gone for a while."""
    return any(c.ends_by is not None and now >= c.ends_by + LOST_AFTER for c in children)


def said_of_lost(children: Sequence[AnyChild]) -> str:
    """What happened, and how a person ends it."""
    text = f"{_names(children)}: its pod was told to end and its node does not answer"
    return f"{text}; {RULES[Reason.NODE_LOST].remedy}"


def show_ending(turn: Turn, children: Sequence[AnyChild]) -> Turn:
    """That these have not ended, and why nothing starts before they have."""
    now = turn.observed.now
    if not are_cut_off(children, now):
        text = f"{_names(children)} has not ended yet; the next attempt starts when it has"
        text = f"{text}; {RULES[Reason.STOPPING].remedy}"
        return look_when_late(turn.in_state(State.PENDING, Reason.STOPPING, text), children)
    said = said_of_lost(children)
    told = warned_once(turn, Reason.NODE_LOST, said)
    return told.in_state(State.PENDING, Reason.NODE_LOST, said)


def look_when_late(turn: Turn, children: Sequence[AnyChild]) -> Turn:
    """To be decided again when the first of them is late: no event of the cluster will tell."""
    ends = [c.ends_by for c in children if c.ends_by is not None]
    if not ends:
        return turn
    left_s = (min(ends) + LOST_AFTER - turn.observed.now).total_seconds()
    return turn.after(min(max(1.0, left_s), LOOK_AGAIN_S))


def _names(children: Sequence[AnyChild]) -> str:
    return ", ".join(child.name for child in children)
