"""The one decision: observed -> actions, next status, events. Pure; the steps are the order."""

from collections.abc import Callable

from controller.api.status import FineTuneJobStatus
from controller.core.begin import begin_wanted_work, keep_record_true, start_recorded_attempt
from controller.core.draft import Decision
from controller.core.follow import follow_attempt
from controller.core.gate import (
    await_base_model,
    await_slot,
    drop_old_attempts,
    hold_when_suspended,
    reject_unsupported_spec,
    rest_when_done,
    stop_what_is_not_wanted,
)
from controller.core.intent import read_intent
from controller.core.observed import Observed
from controller.core.retrain import (
    compare_base_model,
    look_again_after_end,
    retrain_when_base_moved,
)
from controller.core.settle import settle_finished_attempt
from controller.core.spending import charge_vanished, end_when_spent, note_seconds
from controller.core.turn import Turn

Step = Callable[[Turn], Turn]

STEPS: tuple[Step, ...] = (
    retrain_when_base_moved,  # Auto: another run is wanted
    stop_what_is_not_wanted,  # a superseded child, before anything that would take its place
    compare_base_model,  # of the recorded run; a condition, no work
    rest_when_done,  # ended, and still what the spec asks for
    reject_unsupported_spec,  # Stalled
    charge_vanished,  # an attempt that nothing is left of still counts
    settle_finished_attempt,  # outcome -> next stage, next attempt after a pause, or the end
    compare_base_model,  # that prepare has just told: in the same write
    drop_old_attempts,
    hold_when_suspended,  # before anything that would start work
    await_base_model,
    await_slot,  # of the operator's maxConcurrentRuns
    begin_wanted_work,  # a new run, or one more stage of the one that ended: recorded, no more
    compare_base_model,  # of the run that was just recorded: in the same write
    keep_record_true,  # recorded but not created: follows the spec as it is now
    end_when_spent,  # nothing is left of the deadline or the budget
    start_recorded_attempt,  # only what the stored status records
    follow_attempt,  # progress into the status
)


def decide(observed: Observed) -> Decision[FineTuneJobStatus]:
    """What to do now, and what to say of it."""
    job = observed.job
    turn = Turn(observed=observed, intent=read_intent(job), status=job.status)
    for step in STEPS:
        turn = step(turn)
        if turn.is_over:
            break
    return look_again_after_end(note_seconds(turn)).decided(job.metadata.generation)
