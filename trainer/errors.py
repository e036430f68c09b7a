"""How a stage fails: one exception, raised where the reason is known, caught in ``__main__``."""

from trainer.contract.errand import Cause
from trainer.contract.failures import FailureClass


class StageError(Exception):
    """A stage cannot go on, for a reason that the contract has a name for.

    The message says what was wrong, the value, the place and what to do; it holds no secret,
    no presigned URL and no value of a data row.
    """

    def __init__(
        self,
        failure: FailureClass,
        message: str,
        *,
        cause: Cause | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.failure = failure
        self.message = message
        self.cause = cause
        """What the class does not tell; an errand's outcome carries it."""
        self.retry_after_s = retry_after_s
        """When a source that takes no more requests says that it will."""
        self.checkpoint_step = 0
        """Newest durable step, where it failed in training."""


class FencedError(StageError):
    """A newer attempt holds the run's claim; this one must write nothing more."""

    def __init__(self, message: str) -> None:
        super().__init__(FailureClass.SUPERSEDED, message)


class PeerLostError(StageError):
    """Another rank of this stage is gone: a consequence, whose cause the launcher tells."""

    def __init__(self, message: str) -> None:
        super().__init__(FailureClass.NO_PROGRESS, message)
