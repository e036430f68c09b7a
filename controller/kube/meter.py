"""What a workqueue tells whoever counts: the moments that client-go's metrics are made of."""

from collections.abc import Hashable
from typing import Protocol


class Meter(Protocol):
    """Told as it happens; must be quick and must not raise."""

    def added(self, key: Hashable) -> None:
        """A key that did not wait yet waits now, or will after its ``done``."""

    def taken(self, key: Hashable) -> None:
        """A worker has it."""

    def done(self, key: Hashable) -> None:
        """Its worker has finished."""

    def retried(self) -> None:
        """A key was added rate limited."""


class Unmetered:
    """Nobody counts."""

    def added(self, key: Hashable) -> None:
        """Not counted."""

    def taken(self, key: Hashable) -> None:
        """Not counted."""

    def done(self, key: Hashable) -> None:
        """Not counted."""

    def retried(self) -> None:
        """Not counted."""


UNMETERED = Unmetered()
