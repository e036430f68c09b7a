"""Which BaseModel wants to look at its source now, and which one takes a place among those who do.

A look is short, but a restored fleet wants a thousand of them at once. Write-backs take no place:
somebody waits for a commit, and there is one only after a revision moved.
"""

from controller.api.reasons import Reason
from controller.core.children import ChildState, Obstacle
from controller.core.watching.conditions import refusals
from controller.core.watching.due import next_due
from controller.core.watching.errands import forget_what_was_changed
from controller.core.watching.observed import ObservedBase
from controller.core.watching.turn import BaseTurn
from trainer.contract.errand import Errand

OF_ITS_NAMESPACE = frozenset({Reason.QUOTA_EXCEEDED, Reason.ADMISSION_DENIED})
"""In the way of one tenant for as long as it lasts: nobody else may have to wait behind it."""


def wants_to_look(observed: ObservedBase) -> bool:
    """Whether the next thing to do is a look that is due and not under way."""
    base = observed.base
    turn = forget_what_was_changed(BaseTurn(observed=observed, status=base.status))
    if base.spec.suspend or refusals(turn) or turn.is_under_way or turn.unfinished:
        return False
    due = next_due(turn)
    return due.errand is Errand.RESOLVE and due.at <= observed.now


def is_looking(observed: ObservedBase) -> bool:
    """Whether a look of it lives, and is not kept from starting in its own namespace."""
    return any(
        child.errand is Errand.RESOLVE and child.is_unfinished and not _is_kept_out(child.wait)
        for child in observed.children
    )


def is_look_refused(observed: ObservedBase) -> bool:
    """Whether its look cannot begin because of its own namespace."""
    waits = [observed.obstacle]
    waits += [c.wait for c in observed.children if c.state is ChildState.PENDING]
    return any(_is_kept_out(wait) for wait in waits)


def _is_kept_out(wait: Obstacle | None) -> bool:
    return wait is not None and wait.reason in OF_ITS_NAMESPACE
