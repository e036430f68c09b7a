"""A bound on how often something is done: at once for a few, then so many a second."""

from collections.abc import Callable


class Pace:
    """A bucket of tokens: full at first, refilled with time."""

    def __init__(self, *, burst: int, per_s: float, clock: Callable[[], float]) -> None:
        self._burst = burst
        self._per_s = per_s
        self._clock = clock
        self._tokens = float(burst)
        self._at_s = clock()

    def next_s(self) -> float:
        """Takes a token; how long to wait for it."""
        now_s = self._clock()
        refilled = self._tokens + (now_s - self._at_s) * self._per_s
        self._tokens = min(refilled, self._burst) - 1
        self._at_s = now_s
        return max(0.0, -self._tokens / self._per_s)
