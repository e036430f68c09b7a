"""The one decision about a BaseModel: observed -> actions, next status, events. Pure."""

from collections.abc import Callable

from controller.api.basemodel import BaseModelStatus
from controller.core.draft import Decision
from controller.core.watching.conditions import refusals, say_conditions
from controller.core.watching.errands import (
    drop_old_errands,
    forget_what_was_changed,
    record_due_errand,
    start_recorded_errand,
    stop_what_is_not_wanted,
)
from controller.core.watching.observed import ObservedBase
from controller.core.watching.settle import settle_ended_errand
from controller.core.watching.turn import BaseTurn

Step = Callable[[BaseTurn], BaseTurn]


def hold_when_not_asked(turn: BaseTurn) -> BaseTurn:
    """Suspended, or a spec that cannot be carried out: nothing starts, and what runs is ended."""
    if not turn.observed.base.spec.suspend and not refusals(turn):
        return turn
    held = turn.ended() if turn.is_under_way else turn
    return held.stopping(held.unfinished, "suspended or refused").over()


STEPS: tuple[Step, ...] = (
    forget_what_was_changed,  # an errand, a failure or a candidate of another source
    stop_what_is_not_wanted,  # a child of no recorded errand, before anything takes its place
    drop_old_errands,
    settle_ended_errand,  # outcome -> candidate, latest, written back, or a pause
    hold_when_not_asked,  # before anything that would start work
    record_due_errand,  # a look or a write-back: recorded, no more
    start_recorded_errand,  # only what the stored status records
)


def decide_base_model(observed: ObservedBase) -> Decision[BaseModelStatus]:
    """What to do now, and what to say of it."""
    turn = BaseTurn(observed=observed, status=observed.base.status)
    for step in STEPS:
        turn = step(turn)
        if turn.is_over:
            break
    said = say_conditions(turn)
    return said.decided(observed.base.metadata.generation)
