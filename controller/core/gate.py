"""The steps that come before any work: is there something to do, and may it be done."""

from controller.api.conditions import ConditionType
from controller.api.reasons import Reason
from controller.api.unsupported import unsupported
from controller.core.actions import StopStage
from controller.core.children import Child, ChildState
from controller.core.conditions import State, find
from controller.core.ending import reassert_end
from controller.core.intent import Want
from controller.core.observed import Observed
from controller.core.positions import shown_position
from controller.core.requests import is_base_model_known
from controller.core.revision import base_for_new_run
from controller.core.turn import Turn

C = ConditionType

KEPT_ATTEMPTS = 5
"""Of each stage, for their logs; a wait for a Secret may take a thousand attempts."""


def rest_when_done(turn: Turn) -> Turn:
    """A run that ended and is still what the spec asks for: nothing moves.

    Its end is said again, because a spec that was refused or suspended in between may have
    been taken back.
    """
    run = turn.status.run
    is_done = run is not None and run.end_time is not None and turn.intent.want is Want.NOTHING
    return reassert_end(turn).over() if is_done else turn


def stop_what_is_not_wanted(turn: Turn) -> Turn:
    """A child of a superseded run, or of no recorded attempt, is ended; its checkpoint stays.

    So is one that has not started when what it would start with was changed: an image that is
    not there, a node selector that no node has.
    """
    wanted = turn.child if turn.is_under_way else None
    strays = [child for child in turn.unfinished if child is not wanted]
    stopped = turn.stopping(strays, "superseded")
    if wanted is not None and _is_outdated(turn, wanted):
        return stopped.stopping([wanted], "the spec was changed before it started")
    return stopped


def _is_outdated(turn: Turn, child: Child) -> bool:
    return child.state is ChildState.PENDING and turn.run.retry_hash != turn.intent.retry_hash


def reject_unsupported_spec(turn: Turn) -> Turn:
    """What this release cannot do is refused by name, before anything starts."""
    complaints = unsupported(turn.observed.job.spec)
    if not complaints:
        return turn
    message = "; ".join(complaints)
    stopped = turn.stopping(turn.unfinished, "invalid spec")
    rejected = stopped.in_state(State.FAILED, Reason.INVALID_SPEC, message)
    if turn.status.conditions != rejected.status.conditions:
        rejected = rejected.telling("Warning", Reason.INVALID_SPEC, message)
    return rejected.over()


def hold_when_suspended(turn: Turn) -> Turn:
    """Nothing starts; what runs is told to checkpoint and end."""
    if not turn.observed.job.spec.suspend:
        return turn
    message = "spec.suspend is true; resuming continues from the last checkpoint"
    held = turn.stopping(turn.unfinished, "suspended")
    return held.in_state(State.SUSPENDED, Reason.SUSPENDED, message).over()


def await_slot(turn: Turn) -> Turn:
    """Work waits in line for a slot. A run under way that still holds one has position 0.

    One that was suspended gave its slot back: what is resumed stands in line like new work, at the
    place of its object's age, and goes on from its checkpoint when its turn comes. Nothing that is
    suspended or at rest comes as far as this step.
    """
    position = turn.observed.queue_position
    if not position or turn.unfinished:  # what is alive is counted, whatever the line says
        return turn
    message = f"position {shown_position(position)} in the queue: as many runs as may run do run"
    queued = turn.in_state(State.QUEUED, Reason.QUEUED, message)
    if turn.status.phase != State.QUEUED:
        queued = queued.telling("Normal", Reason.QUEUED, message)
    return queued.over()


def drop_old_attempts(turn: Turn) -> Turn:
    """Attempts whose end the stored status knows, but for the newest few of each stage."""
    old = [child for child in turn.observed.children if _is_old(turn, child)]
    return turn.doing(*(StopStage(child.name, "its end is recorded") for child in old))


def _is_old(turn: Turn, child: Child) -> bool:
    stored = turn.observed.job.status.run
    if stored is None or child.is_unfinished or child.run != stored.number:
        return False
    return child.attempt <= stored.attempts.get(child.stage.value, 0) - KEPT_ATTEMPTS


def await_base_model(turn: Turn) -> Turn:
    """A job whose BaseModel is not there, or has no revision yet, waits; the shell wakes it."""
    observed = turn.observed
    name = observed.job.spec.base_model.name
    if not is_base_model_known(observed):
        message = f"spec.baseModel.name: there is no BaseModel {name} in this namespace"
        return turn.in_state(State.PENDING, Reason.BASE_MODEL_NOT_FOUND, message).over()
    is_new_run = turn.intent.want is Want.NEW_RUN and observed.settings.waits_heal
    if not is_new_run or name is None or base_for_new_run(observed) is not None:
        return turn
    message = f"spec.baseModel.name: BaseModel {name} has no revision yet{_said_of(observed)}"
    return turn.in_state(State.PENDING, Reason.BASE_MODEL_NOT_READY, message).over()


def _said_of(observed: Observed) -> str:
    """What the BaseModel says of itself."""
    base = observed.base_model
    ready = find(base.status.conditions, C.READY) if base is not None else None
    if ready is None:
        return ": it has not been looked at"
    return f": its condition Ready is {ready.status}, {ready.reason}: {ready.message}"
