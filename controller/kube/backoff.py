"""Growing pauses between tries."""

import random
from collections.abc import Callable

# A server may ask for patience, not for ever: a wrong header must not stop a controller for a day.
MAX_RETRY_AFTER_S = 300.0


class Backoff:
    """Doubling, with jitter so that many clients do not come back at once.

    The defaults are those of client-go's reflector: 0.8 s to 30 s.
    """

    def __init__(
        self,
        base_s: float = 0.8,
        cap_s: float = 30.0,
        # not for secrets: it only spreads load
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._base_s = base_s
        self._cap_s = cap_s
        self._chance = chance
        self._tries = 0

    def reset(self) -> None:
        """The next pause is the shortest again."""
        self._tries = 0

    def next_s(self, error: Exception | None = None) -> float:
        """The next pause: between once and twice the doubled base, and what the error asks for."""
        # the cap bounds the longest pause, so the doubling stops at its half
        shortest = min(doubled(self._base_s, self._tries), self._cap_s / 2)
        self._tries += 1
        return max(shortest * (1 + self._chance()), _asked_s(error))


def doubled(base_s: float, times: int) -> float:
    """``base * 2 ** times``; the exponent is bounded, as a float overflows at 1024."""
    return base_s * 2.0 ** min(times, 64)


def _asked_s(error: Exception | None) -> float:
    asked: float | None = getattr(error, "retry_after_s", None)
    return min(asked or 0.0, MAX_RETRY_AFTER_S)
