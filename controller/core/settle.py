"""The step that reads a finished attempt: next stage, next attempt after a pause, or the end."""

from collections.abc import Callable

from controller.api.conditions import ConditionType
from controller.api.reasons import Reason
from controller.api.status import RunBase
from controller.core.begin import enter, enter_again
from controller.core.children import Child
from controller.core.conditions import is_true
from controller.core.ending import end_failed, end_failed_again, end_judged
from controller.core.failures import RULES, Policy, backoff_s, given_up, while_waiting
from controller.core.follow import report_details
from controller.core.obstacles import warned_once
from controller.core.promotion import is_pointer_lost, show_promotion
from controller.core.spending import charge, end_spent, named_by_limit, spent_limit
from controller.core.turn import Turn
from trainer.contract.failures import FailureClass
from trainer.contract.outcome import Outcome
from trainer.contract.request import Stage
from trainer.contract.verdict import Verdict

C = ConditionType

POINTER_LOST = "the message of the stage was cut, and with it which adapter is in use now"


def settle_finished_attempt(turn: Turn) -> Turn:
    """What the recorded attempt said goes into the status, in the same write as what is next."""
    child = turn.child if turn.is_under_way else None
    if child is None or child.is_unfinished:
        return turn
    uid = turn.observed.job.metadata.uid
    told = charge(report_details(turn, child), child)
    failure = named_by_limit(turn, child, child.failure(uid))
    outcome = child.last_word(uid)
    if failure is not None:
        return _fail(told, child, outcome, *failure)
    assert outcome is not None  # noqa: S101 - no failure only with an outcome
    if is_pointer_lost(told, outcome):  # judging again says it again, and moves nothing
        return _fail(told, child, outcome, FailureClass.UNEXPECTED, POINTER_LOST)
    return ADVANCE[child.stage](told, outcome)


def _after_prepare(turn: Turn, outcome: Outcome) -> Turn:
    if not outcome.run_id:
        return end_failed(turn, FailureClass.UNEXPECTED, "prepare ended without a run id")
    base = _told_base(turn.run.base_model or RunBase(), outcome)
    frozen = turn.running(
        id=outcome.run_id, base_model=base, dataset_digest=outcome.dataset_digest
    ).holding(C.DATA_VALID, "True", Reason.DATA_VALID)
    if not outcome.trained:
        return enter(frozen, Stage.TRAIN)
    known = frozen.holding(
        C.TRAINED, "True", Reason.ALREADY_TRAINED, f"run {outcome.run_id} is in the output"
    )
    if outcome.generated and not _has_new_generation(turn):
        return enter(known, Stage.JUDGE)
    return enter(known, Stage.TRAIN)


def _told_base(recorded: RunBase, outcome: Outcome) -> RunBase:
    """What prepare found, or kept: then it is not the one that was recorded."""
    is_other = recorded.content_digest not in (None, outcome.base_digest)
    told = {"revision": outcome.base_revision, "content_digest": outcome.base_digest}
    return recorded.model_copy(update={**told, "kept": is_other})


def _after_train(turn: Turn, outcome: Outcome) -> Turn:
    trained = turn.running(adapter_digest=outcome.adapter_digest, partial=outcome.partial)
    if outcome.not_needed:
        trained = trained.holding(C.TRAINED, "False", Reason.NOT_NEEDED, outcome.message)
    elif outcome.partial:
        trained = trained.holding(C.TRAINED, "True", Reason.PARTIAL, outcome.message)
        trained = trained.telling("Warning", Reason.PARTIAL, outcome.message)
    elif turn.run.partial or not is_true(turn.status.conditions, C.TRAINED):
        trained = trained.holding(C.TRAINED, "True", Reason.TRAINED, outcome.message)
    return enter(trained, Stage.TRAIN if _has_new_generation(turn) else Stage.JUDGE)


def _after_judge(turn: Turn, outcome: Outcome) -> Turn:
    if turn.run.failure:
        return end_failed_again(show_promotion(turn, None, outcome))
    if outcome.verdict not in set(Verdict):
        message = f"judge ended with the unknown verdict {outcome.verdict[:40]!r}"
        return end_failed(turn, FailureClass.UNEXPECTED, message)
    verdict = Verdict(outcome.verdict)
    message = turn.status.evaluation.reason if turn.status.evaluation else outcome.message
    judged = turn.holding(C.EVALUATED, "True", Reason(verdict.value), message)
    judged = show_promotion(judged, verdict, outcome)
    if _has_new_generation(turn):
        return enter(judged, Stage.TRAIN)
    if turn.run.judge_hash != turn.intent.judge_hash:
        return enter(judged, Stage.JUDGE)
    return end_judged(judged, verdict, message)


ADVANCE: dict[Stage, Callable[[Turn, Outcome], Turn]] = {
    Stage.PREPARE: _after_prepare,
    Stage.TRAIN: _after_train,
    Stage.JUDGE: _after_judge,
}


def _fail(
    turn: Turn, child: Child, outcome: Outcome | None, failure: FailureClass, message: str
) -> Turn:
    rule = RULES[failure]
    step = outcome.checkpoint_step if outcome else 0
    has_advanced = step > turn.run.checkpoint_step
    is_free = rule.policy is Policy.FREE_IF_ADVANCED and (has_advanced or child.is_stopped)
    failures = turn.run.failures + (0 if is_free else 1)
    kept = turn.running(checkpoint_step=max(step, turn.run.checkpoint_step))
    text = f"{child.stage.value}: {message}"
    if turn.run.retry_hash != turn.intent.retry_hash and not turn.run.failure:
        return enter(kept, child.stage)  # it failed with a spec that is no longer asked for
    if rule.policy is Policy.WAIT and turn.observed.settings.waits_heal:
        return _wait(kept, failure, text)
    if (
        rule.policy in (Policy.NEVER, Policy.WAIT)
        or failures >= turn.observed.job.spec.retry.max_attempts
    ):
        return _end(kept, child, failure, _last_message(turn, failure, text, failures))
    spent = spent_limit(kept)
    if spent is not None and child.stage is not Stage.JUDGE:
        return end_spent(kept, spent, text)
    return _again(kept, failure, text, failures=failures, is_free=is_free)


def _end(turn: Turn, child: Child, failure: FailureClass, text: str) -> Turn:
    if child.stage is Stage.PREPARE and failure in (
        FailureClass.INVALID_DATA,
        FailureClass.TEST_TOO_SMALL,
    ):
        turn = turn.holding(C.DATA_VALID, "False", Reason(failure.value), text)
    return end_failed(turn, failure, text)


def _last_message(turn: Turn, failure: FailureClass, text: str, failures: int) -> str:
    """Under a single command the object ends with it: nobody can change it or annotate it."""
    return given_up(failure, text, failures) if turn.observed.settings.waits_heal else text


def _again(turn: Turn, failure: FailureClass, text: str, *, failures: int, is_free: bool) -> Turn:
    pause_s = 0.0 if is_free else _pause_s(turn, failures)
    reason = Reason(failure.value)
    told = turn.running(failures=failures, waits=0).telling("Warning", reason, text)
    return enter_again(told, reason, text, after_s=pause_s)


def _wait(turn: Turn, failure: FailureClass, text: str) -> Turn:
    """Said once, however often it is tried."""
    waits, reason = turn.run.waits + 1, Reason(failure.value)
    told = while_waiting(failure, text)
    warned = warned_once(turn.running(waits=waits), reason, told)
    return enter_again(warned, reason, told, after_s=_pause_s(turn, waits))


def _pause_s(turn: Turn, count: int) -> float:
    settings = turn.observed.settings
    return backoff_s(count, base_s=settings.retry_base_s, cap_s=settings.retry_cap_s)


def _has_new_generation(turn: Turn) -> bool:
    return turn.run.generation_hash != turn.intent.generation_hash
