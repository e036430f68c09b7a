"""The steps that start work: write-ahead first, then the child.

A ``StartStage`` is asked for only when the *stored* status (the observed one, not the one being
made) records exactly that run, stage and attempt. A decision that records a new attempt asks for
nothing but to be decided again at once: the shell writes the status, with the resourceVersion as
precondition, and the next decision, on what was stored, creates the child. So a crash between
the two leaves a record without a child, which is simply started, and never a child that no
status knows. The settling of one stage and the record of the next are the same write: a stage
costs one status write and one create.
"""

from datetime import timedelta
from typing import Any

from controller.api.conditions import ConditionType
from controller.api.reasons import Reason
from controller.api.status import RunStatus
from controller.core.actions import StartStage
from controller.core.conditions import State
from controller.core.intent import Want, asked_pin
from controller.core.naming import child_name
from controller.core.obstacles import hindered, is_shown_as_missing
from controller.core.remainder import backstop_s, limits_of
from controller.core.requests import frozen_images, stage_image, stage_request
from controller.core.revision import base_for_new_run
from controller.core.turn import Turn
from trainer.contract.request import Stage

WORKING: dict[Stage, Reason] = {
    Stage.PREPARE: Reason.PREPARING,
    Stage.TRAIN: Reason.TRAINING,
    Stage.JUDGE: Reason.JUDGING,
}

OF_ONE_RUN = (ConditionType.DATA_VALID, ConditionType.TRAINED, ConditionType.EVALUATED)


def begin_wanted_work(turn: Turn) -> Turn:
    """Record what the spec asks for: a new run, or one more stage of the one that ended."""
    match turn.intent.want:
        case Want.NEW_RUN:
            return _new_run(turn)
        case Want.TRAIN:
            return enter(_reopened(turn), Stage.TRAIN)
        case Want.JUDGE:
            return enter(_reopened(turn), Stage.JUDGE)
        case Want.PIN:
            return see_to_pin(turn)
        case Want.RETRY:
            return enter(_reopened(turn), turn.stage)
        case Want.NOTHING:
            return turn


def keep_record_true(turn: Turn) -> Turn:
    """An attempt that is recorded but not created follows the spec as it is now."""
    if turn.child is not None:
        return turn
    run, intent = turn.run, turn.intent
    if run.failure:
        asked = asked_pin(turn.observed.job.spec)
        return turn.running(judge_hash=intent.judge_hash, pin=asked)
    if run.stage == Stage.JUDGE and run.generation_hash != intent.generation_hash:
        return enter(turn, Stage.TRAIN)
    if turn.namesake is not None:  # of another spec: an attempt's name is used once
        return enter(turn, turn.stage)
    if run.retry_hash != intent.retry_hash:  # what it waits for may be what was changed
        turn = turn.running(not_before=None, waits=0)
    return turn.running(**_hashes(turn, turn.stage))


def start_recorded_attempt(turn: Turn) -> Turn:
    """Create the child of the attempt that the stored status records, when nothing else lives."""
    if turn.child is not None:
        return turn
    pause_s = _pause_s(turn) if _is_stored(turn) else 0.0
    if pause_s > 0 or not _is_stored(turn):
        return _in_waiting_state(turn).after(pause_s)
    if turn.unfinished:
        return _in_waiting_state(turn)
    obstacle = turn.observed.obstacle
    shown = _in_waiting_state(turn) if obstacle is None else hindered(turn, obstacle)
    if obstacle is not None and obstacle.reason is Reason.INVALID_SPEC:
        return shown  # it would be refused again until the spec changes
    return shown.doing(_start(turn))


def enter(turn: Turn, stage: Stage) -> Turn:
    """Record the next attempt at a stage, with a clean count of failures."""
    return _record(turn, stage).running(failures=0, waits=0, not_before=None)


def see_to_pin(turn: Turn) -> Turn:
    """Record a judge that only moves the pointer; the run stays as failed as it is."""
    run, asked = turn.run, asked_pin(turn.observed.job.spec)
    reopened = turn.running(end_time=None, pin=asked)
    return enter(reopened, Stage.JUDGE).running(retry_hash=run.retry_hash)


def enter_again(turn: Turn, reason: Reason, message: str, *, after_s: float) -> Turn:
    """Record the next attempt at the same stage, not to start before a pause."""
    not_before = turn.observed.now + timedelta(seconds=after_s) if after_s > 0 else None
    recorded = _record(turn, turn.stage).running(not_before=not_before)
    return recorded.in_state(State.PENDING, reason, message)


def _start(turn: Turn) -> StartStage:
    observed, run, stage = turn.observed, turn.run, turn.stage
    job = observed.job.metadata
    name = child_name(job.name, job.uid, run=run.number, stage=stage, attempt=run.attempt)
    request = stage_request(observed, run, stage, turn.intent)
    limit = backstop_s(observed.job, turn.status, stage)
    return StartStage(name, request, stage_image(observed, run, stage), limit)


def _new_run(turn: Turn) -> Turn:
    now, status, intent = turn.observed.now, turn.status, turn.intent
    used = [child.run for child in turn.observed.children]
    number = max([status.run.number if status.run else 0, *used]) + 1
    run = RunStatus(
        number=number,
        stage=Stage.PREPARE,
        spec_hash=intent.spec_hash,
        identity_hash=intent.identity_hash,
        rerun=intent.rerun,
        trigger=intent.trigger,
        images=frozen_images(turn.observed),
        base_model=base_for_new_run(turn.observed),
        start_time=now,
    )
    is_same_spec = status.run is not None and status.run.spec_hash == intent.spec_hash
    is_retrain = intent.trigger == "BaseModel"
    rest = [condition for condition in status.conditions if condition.type not in OF_ONE_RUN]
    fresh = turn.saying(
        run=run,
        conditions=rest,
        data=None,
        resolved=[],
        estimate=None,
        evaluation=None,
        cost=None,
        last_handled_rerun=intent.rerun or None,
        last_retrain_time=now if is_retrain else status.last_retrain_time,
        tried_bases=status.tried_bases if is_same_spec else [],
    )
    return enter(fresh, Stage.PREPARE).telling("Normal", Reason.RUN_STARTED, _introduced(run))


def _introduced(run: RunStatus) -> str:
    """The run with what it is for, where that is known before prepare has asked the source."""
    base = run.base_model
    return f"run {run.number}" + (f" for base model revision {base.revision}" if base else "")


def _reopened(turn: Turn) -> Turn:
    return turn.running(end_time=None, failure="", verdict="", message="")


def _record(turn: Turn, stage: Stage) -> Turn:
    run = turn.run
    used = [c.attempt for c in turn.observed.children if (c.run, c.stage) == (run.number, stage)]
    attempt = max([run.attempts.get(stage.value, 0), *used]) + 1
    attempts = {**run.attempts, stage.value: attempt}
    recorded = turn.running(stage=stage, attempt=attempt, attempts=attempts)
    return recorded.running(**_hashes(turn, stage)).saying(progress=None).wanting(Want.NOTHING)


def _hashes(turn: Turn, stage: Stage) -> dict[str, Any]:
    """What the attempt's work will be true for."""
    hashes = {"retry_hash": turn.intent.retry_hash}
    if stage is Stage.JUDGE:
        return {**hashes, "judge_hash": turn.intent.judge_hash}
    limits = limits_of(turn.observed.job.spec)
    return {**hashes, "generation_hash": turn.intent.generation_hash, "limits": limits}


def _is_stored(turn: Turn) -> bool:
    stored = turn.observed.job.status.run
    if stored is None:
        return False
    return _key(turn.run) == _key(stored) and stored.end_time is None


def _key(run: RunStatus) -> tuple[object, ...]:
    """What names an attempt and what it is true for."""
    hashes = (run.generation_hash, run.judge_hash, run.retry_hash)
    return (run.number, run.stage, run.attempt, *hashes)


def _in_waiting_state(turn: Turn) -> Turn:
    """What is said of an attempt that is recorded and about to start."""
    if turn.unfinished:
        return turn.in_state(State.PENDING, Reason.STOPPING, _still_ending(turn))
    if _pause_s(turn) <= 0:
        if is_shown_as_missing(turn):
            return turn  # it may still be; the attempt will tell
        return turn.in_state(State.RUNNING, WORKING[turn.stage])
    if turn.status.phase == State.PENDING:
        return turn
    return turn.in_state(State.PENDING, Reason.RETRYING)


def _still_ending(turn: Turn) -> str:
    """What is in the way, and what to do where nothing will ever end it."""
    names = ", ".join(child.name for child in turn.unfinished)
    remedy = "if its node is lost, or it was made by somebody else, delete its pod"
    return f"{names} has not ended yet; the next attempt starts when it has; {remedy}"


def _pause_s(turn: Turn) -> float:
    not_before = turn.run.not_before
    return 0.0 if not_before is None else (not_before - turn.observed.now).total_seconds()
