"""The soft limit of an attempt: how much time is left, and what it leads to when none is.

Owns the clock and the name of the failure. A stage that can do with less asks how much is left;
any other is asked to stop, as by a signal, when the time is over.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trainer.contract.failures import FailureClass
from trainer.contract.limit import LIMITED_BY, SoftLimit
from trainer.errors import StageError

LONGEST_S = threading.TIMEOUT_MAX


class TimeLimit:
    """Counts down from when it is made; without a limit for ever."""

    def __init__(
        self,
        limit: SoftLimit | None,
        stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = limit
        self._stop = stop
        self._clock = clock
        self._started_s = clock()
        self._timer: threading.Timer | None = None
        self._is_expired = False

    def left_s(self) -> float:
        """Seconds that are left; negative: since it was passed."""
        if self.limit is None:
            return math.inf
        return self.limit.seconds - (self._clock() - self._started_s)

    @contextmanager
    def armed(self) -> Iterator[None]:
        """While the body runs it is stopped when the time is over, unless it disarms the limit.

        Raises:
            StageError: of the limit's class, where that is why the body was interrupted.
        """
        if self.limit is not None:
            self._timer = threading.Timer(min(max(0.0, self.left_s()), LONGEST_S), self.expire)
            self._timer.daemon = True
            self._timer.start()
        try:
            yield
        except StageError as error:
            raise self._named(error) from None
        finally:
            self.disarm()

    def disarm(self) -> None:
        """From here on the stage itself looks at what is left."""
        if self._timer is not None:
            self._timer.cancel()

    def expire(self) -> None:
        """Ask the stage to stop; a signal that came before stays the reason."""
        if not self._stop.is_set():
            self._is_expired = True
            self._stop.set()

    def error(self, message: str) -> StageError:
        """The failure by this limit; only asked for where there is one."""
        assert self.limit is not None  # noqa: S101 - ours, not the user's
        text = f"{message}; {LIMITED_BY[self.limit.failure]} left {self.limit.seconds} s for it"
        return StageError(self.limit.failure, text)

    def _named(self, error: StageError) -> StageError:
        if not self._is_expired or error.failure is not FailureClass.INTERRUPTED:
            return error
        named = self.error(error.message)
        named.checkpoint_step = error.checkpoint_step
        return named
