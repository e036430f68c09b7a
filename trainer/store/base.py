"""The interface every store has, and the errors that callers may act on.

Everything else that goes wrong in a store is a ``StageError`` with the matching failure class:
ACCESS_DENIED, HOST_STORAGE_EXCEEDED (disk full), UNAVAILABLE.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol


class MissingError(Exception):
    """There is no such key."""


class ConditionError(Exception):
    """The key exists already, or is not what ``if_match`` says: somebody else wrote it."""


@dataclass(frozen=True)
class Entry:
    """One stored object; ``key`` is relative to the store's root."""

    key: str
    size: int
    modified: datetime | None = field(default=None, compare=False)
    """When it was written, as its store says."""


OnBytes = Callable[[int], None]
"""Hears of bytes as they arrive, from any thread; what it raises ends the transfer."""


def ignore(_count: int) -> None:
    """For transfers that nobody follows."""


class Store(Protocol):
    """Objects below one URI. Keys are relative, with ``/``; writes are all or nothing."""

    @property
    def uri(self) -> str:
        """The root, without a trailing slash."""

    def read(self, key: str) -> bytes:
        """The object. Raises MissingError."""

    def read_tagged(self, key: str) -> tuple[bytes, str]:
        """The object and its tag for ``if_match``. Raises MissingError."""

    def write(
        self, key: str, data: bytes, *, if_none_match: bool = False, if_match: str | None = None
    ) -> str:
        """Store ``data`` whole; returns its tag. Raises ConditionError."""

    def exists(self, key: str) -> bool:
        """Whether the key is there."""

    def upload(self, path: Path, key: str) -> None:
        """Store a local file whole."""

    def download(self, key: str, path: Path, *, on_bytes: OnBytes = ignore) -> None:
        """Copy an object to a local file, whole. Raises MissingError."""

    def stream(self, key: str) -> Iterator[bytes]:
        """The object, a block of bounded size at a time. Raises MissingError."""

    def list(self, prefix: str) -> Iterator[Entry]:
        """Objects whose key starts with ``prefix``, in key order."""

    def delete(self, key: str) -> None:
        """Remove a key; none there is fine."""

    def delete_all(self, keys: Iterable[str]) -> None:
        """Remove many keys, in any order; those that are not there are fine."""
