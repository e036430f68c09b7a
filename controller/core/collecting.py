"""A last word that was lost on its way: when it is looked for in the store, and what is found.

A stage writes its outcome to the store before it writes its pod's message. Where the message is
missing, the next attempt recorded is one at the stage ``collect``, a small pod on the CPU, in the
same run and by the same rules as any attempt; ``run.lost`` says whose word it looks for. What it
finds is settled as if the lost attempt had said it; when there is nothing to be found, the lost
attempt is what its end alone says it is.

prepare is not looked for: its place in the store bears the run's id, which only prepare itself
knows. It is run again, which costs no GPU.
"""

from controller.api.reasons import Reason
from controller.api.status import LostWord
from controller.core.begin import enter
from controller.core.children import Child, ChildState, Ending
from controller.core.failures import RULES, Failure
from controller.core.turn import Turn
from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.contract.request import Stage

LEAVE_A_WORD = frozenset({Stage.TRAIN, Stage.JUDGE})
SILENT_CODES = frozenset({None, 0, EXIT_CODES[FailureClass.INTERRUPTED]})
"""Of a stage that may have done its work, or left a newer checkpoint; others tell the class."""
MAX_MESSAGE = 1024


def may_have_left_word(turn: Turn, child: Child) -> bool:
    """Whether an attempt that ended without its outcome may have written it to the store.

    Not one that was told to stop, or that was killed: what it has done it finds again.
    """
    if child.stage not in LEAVE_A_WORD or not turn.run.id:
        return False
    is_silent = child.last_word(turn.observed.job.metadata.uid) is None
    is_explained = child.is_stopped or child.ending is not None
    return is_silent and not is_explained and child.exit_code in SILENT_CODES


def ask_store(turn: Turn, child: Child, failure: Failure, message: str) -> Turn:
    """Record a look into the store; ``failure`` is what is concluded if nothing is there.

    The same for an attempt whose Job is gone: whoever finds that out knows its stage and number.
    """
    run = turn.run
    lost = LostWord(
        stage=child.stage,
        attempt=child.attempt,
        failures=run.failures,
        retry_hash=run.retry_hash,
        failure=failure.value,
        message=message[:MAX_MESSAGE],
        start_time=child.started,
        end_time=child.finished,
    )
    text = f"{child.name}: {message}; its outcome is looked for in the output"
    asked = enter(turn, Stage.COLLECT).running(
        lost=lost, attempt_seconds=0
    )  # charged when it is settled
    return asked.telling("Normal", Reason.COLLECTING, text)


def answer_of_store(turn: Turn, child: Child) -> Child | None:
    """The lost attempt as the look shows it, with a word or without; None: the look failed.

    Whether the word is that of the very attempt is looked at as of any child: ``last_word``.
    """
    said, uid = child.outcome, turn.observed.job.metadata.uid
    if said is not None and said.stage is not Stage.COLLECT:
        return without_word(turn, outcome=said, details=child.details)
    return without_word(turn) if child.failure(uid) is None else None


def without_word(turn: Turn, **word: object) -> Child:
    """The lost attempt, ended as it was seen to end; ``word``: what is known of it after all."""
    run, lost = turn.run, _lost(turn)
    known = {
        "name": f"{lost.stage.value}-{lost.attempt}",
        "state": ChildState.FINISHED,
        "started": lost.start_time,
        "finished": lost.end_time,
        "ending": Ending(_failure(lost), lost.message),
        "run": run.number,
        "stage": lost.stage,
        "attempt": lost.attempt,
        "spec_hash": run.spec_hash or "",
    }
    return Child(**known, **word)  # type: ignore[arg-type]


def back_at_lost(turn: Turn) -> Turn:
    """The run where it stood when the word was lost."""
    lost = _lost(turn)
    return turn.running(
        stage=lost.stage,
        attempt=lost.attempt,
        failures=lost.failures,
        retry_hash=lost.retry_hash,
        waits=0,
        lost=None,
    )


def _lost(turn: Turn) -> LostWord:
    assert turn.run.lost is not None  # noqa: S101 - recorded together with the stage
    return turn.run.lost


def _failure(lost: LostWord) -> Reason:
    """A newer release may have stored a class that this one does not know."""
    return Reason(lost.failure) if lost.failure in RULES else Reason.UNEXPECTED
