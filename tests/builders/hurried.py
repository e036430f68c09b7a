"""An event loop whose idle time passes at once: minutes of silence cost a test no time.

Its clock is the real one and what was skipped: whenever no socket is ready, the time until the next
timer is skipped. For clients and servers in one process, whose bytes are there a moment after they
were sent.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

IDLE_S = 0.02
"""So long nothing comes before it counts as idle."""


class _HurriedSelector(selectors.DefaultSelector):
    """Waits a moment where it should wait long, and tells how much it did not wait."""

    skipped_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= IDLE_S:
            return super().select(timeout)
        ready = super().select(IDLE_S)
        if not ready:
            self.skipped_s += timeout - IDLE_S
        return ready


class HurriedLoop(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self) -> None:
        self._hurried = _HurriedSelector()
        super().__init__(self._hurried)

    def time(self) -> float:
        return super().time() + self._hurried.skipped_s


def run_hurried(main: Coroutine[Any, Any, T]) -> T:
    """As ``asyncio.run``."""
    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        return runner.run(main)
