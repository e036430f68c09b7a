"""The sign of life of this process: whatever works gives it, the watchdog hears when it stops.

One process does one stage, so there is one pulse; it costs an addition, and takes no lock.
"""

from collections.abc import Iterator
from contextlib import contextmanager

LOAD_S = 900.0
"""A base model that is read through a thin line may take so long without a sign."""


class Pulse:
    """Counts signs of life."""

    def __init__(self) -> None:
        self.count = 0
        self.doing = "starting"
        """What it is at, for people."""
        self.patience_s = 0.0
        """How long it may be silent now, where that is longer than usual."""

    def beat(self, doing: str = "") -> None:
        """Something moved; ``doing`` where something else begins."""
        self.count += 1
        self.doing = doing or self.doing

    @contextmanager
    def silent(self, doing: str, seconds: float = LOAD_S) -> Iterator[None]:
        """While the body runs, nothing can be heard of it for so long."""
        before = self.doing, self.patience_s
        self.beat(doing)
        self.patience_s = max(seconds, self.patience_s)
        try:
            yield
        finally:
            self.doing, self.patience_s = before
            self.beat()


PULSE = Pulse()
"""This process's."""

beat = PULSE.beat
