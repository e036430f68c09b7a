"""How a run ends: what the status says of it, once and for as long as the spec stays."""

from controller.api.conditions import ConditionType
from controller.api.reasons import Reason
from controller.api.status import HistoryEntry
from controller.core.begin import see_to_pin
from controller.core.conditions import State
from controller.core.failures import with_hint
from controller.core.intent import is_pin_open
from controller.core.promotion import pin_refusal
from controller.core.turn import Turn
from trainer.contract.failures import FailureClass
from trainer.contract.request import Stage
from trainer.contract.verdict import Verdict

C = ConditionType

MAX_TRIED = 50
"""Base models that are remembered as tried; ``minPeriodSeconds`` bounds what more would cost."""


def end_judged(turn: Turn, verdict: Verdict, message: str) -> Turn:
    """The run was judged; any verdict is a success of the job."""
    ended = turn.running(
        verdict=verdict.value, message=message, end_time=turn.observed.now, failures=0
    )
    told = ended.telling("Normal", Reason(verdict.value), message)
    return reassert_end(_remember(told)).over()


def end_failed(turn: Turn, failure: FailureClass, message: str) -> Turn:
    """The run failed; the object is stalled until its spec changes."""
    told = with_hint(failure, message)
    ended = turn.running(failure=failure.value, message=told, end_time=turn.observed.now)
    warned = _remember(ended.telling("Warning", Reason(failure.value), told))
    if is_pin_open(turn.observed.job.spec, warned.status):
        return see_to_pin(warned)
    return reassert_end(warned).over()


def end_failed_again(turn: Turn) -> Turn:
    """A pin was seen to; the run is where it failed, to be mended from there."""
    run = turn.run
    stage = Stage.JUDGE if run.adapter_digest else Stage.TRAIN if run.id else Stage.PREPARE
    attempt = run.attempts.get(stage.value, 0)
    ended = turn.running(stage=stage, attempt=attempt, end_time=turn.observed.now)
    return reassert_end(ended).after(0.0).over()  # what was mended meanwhile is next


def reassert_end(turn: Turn) -> Turn:
    """Phase and conditions of a run that ended."""
    run = turn.run
    if run.failure:
        return turn.in_state(State.FAILED, _known(run.failure, Reason.UNEXPECTED), run.message)
    ended = turn.in_state(State.SUCCEEDED, _known(run.verdict, Reason.SUCCEEDED), run.message)
    refused = pin_refusal(ended)
    return ended if refused is None else ended.holding(C.STALLED, "True", *refused)


def _known(word: str, otherwise: Reason) -> Reason:
    """A newer release may have stored a word that this one does not know."""
    return Reason(word) if word in set(Reason) else otherwise


def _remember(turn: Turn) -> Turn:
    """The run in the history, newest last, within its limit."""
    run = turn.run
    entry = HistoryEntry(
        run=run.number,
        id=run.id,
        result=run.failure or run.verdict,
        partial=run.partial,
        base_revision=run.base_model.revision if run.base_model else "",
        base_digest=run.base_model.content_digest if run.base_model else None,
        spec_hash=run.spec_hash,
        start_time=run.start_time,
        end_time=turn.observed.now,
    )
    limit = turn.observed.job.spec.history_limit
    older = [known for known in turn.status.history if known.run != run.number]
    history = [*older, entry][-limit:] if limit else []
    return turn.saying(history=history, tried_bases=_tried(turn), progress=None)


def _tried(turn: Turn) -> list[str]:
    """What the history forgets, a source that comes back to it must not spend again."""
    base, known = turn.run.base_model, turn.status.tried_bases
    digest = base.content_digest if base is not None else None
    if digest is None:
        return known
    return [*(old for old in known if old != digest), digest][-MAX_TRIED:]
