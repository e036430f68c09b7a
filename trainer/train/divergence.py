"""When training has gone wrong for good: what counts, and what is said of it.

Pure. No value is replaced or left out on the way: a loss that is not a number ends the training at
the step that has it. A step is *good* when the adapter after it has given a sound loss, so the
weights after the last update before the end are never taken for good.
"""

from math import isfinite, log

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.train.state import TrainState

TIMES_FIRST = 1.5
SHARE_OF_GUESSING = 0.9
"""Of ln(vocabulary), the loss of a model that knows nothing."""
PATIENCE = 3
"""Exploded steps in a row; a single batch of odd rows is none of divergence."""


class DivergedError(StageError):
    """Training cannot be saved by going on."""

    def __init__(self, message: str, *, good_step: int) -> None:
        super().__init__(FailureClass.DIVERGED, message)
        self.good_step = good_step
        """Newest step that is known to be good; 0: none but the beginning."""

    def tell_kept(self, step: int) -> None:
        """Say which checkpoint is left; 0: none."""
        self.checkpoint_step = step
        kept = f"the last good checkpoint is kept, of step {step}"
        self.message += f"; {kept}" if step else "; no good checkpoint was there yet"


def exploded_above(first_loss: float, vocabulary: int) -> float:
    """The loss that no healthy training has: far above its first one, and as bad as guessing."""
    return max(TIMES_FIRST * first_loss, SHARE_OF_GUESSING * log(max(2, vocabulary)))


def after_step(
    state: TrainState, step: int, loss: float, norm: float, *, vocabulary: int, learning_rate: float
) -> dict[str, object]:
    """What a step's loss and its gradient's norm, before clipping, change in the state.

    They are of the adapter before the step; on a GPU later steps may have begun by then.

    Raises:
        DivergedError: nothing that the step or a later one has made may be kept.
    """

    def diverged(reason: str, good_step: int) -> DivergedError:
        where = f"step {step} of {state.max_steps}"
        return DivergedError(_message(where, reason, learning_rate), good_step=good_step)

    if not isfinite(loss):
        raise diverged(f"the loss is {loss}", state.good_step)
    first = loss if state.first_loss is None else state.first_loss
    limit = exploded_above(first, vocabulary)
    exploded = state.exploded + 1 if loss > limit else 0
    good_step = state.good_step if exploded else max(state.good_step, step - 1)
    if not isfinite(norm):
        raise diverged(f"the norm of the gradient is {norm}", good_step)
    if exploded >= PATIENCE:
        reason = f"the loss was above {limit:.3g} for {exploded} steps, and is {loss:.3g}"
        raise diverged(f"{reason}; it began at {first:.3g}", good_step)
    return {"first_loss": first, "exploded": exploded, "good_step": good_step}


def after_evaluation(state: TrainState, loss: float, *, learning_rate: float) -> dict[str, object]:
    """What a validation loss changes in the state.

    Raises:
        DivergedError: it is no number.
    """
    if not isfinite(loss):
        where = f"the evaluation after step {state.step} of {state.max_steps}"
        text = _message(where, f"the validation loss is {loss}", learning_rate)
        raise DivergedError(text, good_step=state.good_step)
    return {} if state.exploded else {"good_step": max(state.good_step, state.step)}


def _message(where: str, reason: str, learning_rate: float) -> str:
    return (
        f"training diverged at {where}: {reason}; lower spec.training.learningRate "
        f"(it is {learning_rate:g})"
    )
