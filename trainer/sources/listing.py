"""What a source says of its files before they are fetched, and whether a file is that."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trainer.errors import StageError
from trainer.sources.base import Transfer
from trainer.store.checked import blocks


@dataclass(frozen=True)
class Listed:
    """A file as its source announces it; a digest is empty where the source gives none.

    ``git_blob`` is Git's object name: sha1 over a header with the size and the content.
    """

    size: int
    sha256: str = ""
    git_blob: str = ""

    @property
    def has_digest(self) -> bool:
        """Whether the source vouches for the content."""
        return bool(self.sha256 or self.git_blob)


class Remote(Protocol):
    """A place that base model files are fetched from."""

    @property
    def place(self) -> str:
        """What a message calls it."""

    def stream(self, name: str, start: int) -> Iterator[bytes]:
        """The file's content from byte ``start`` on.

        Raises:
            BrokenOffError: it broke off; try again from where it ended.
            StageError: there is no use in trying again now.
        """

    def differs(self, name: str) -> StageError:
        """What to say when the file is not the one that was announced."""


class FileDigests:
    """All digests of one file that some listing may name, computed side by side."""

    def __init__(self, size: int) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._git_blob = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)

    def update(self, block: bytes) -> None:
        """Take in the next bytes."""
        self.size += len(block)
        self._sha256.update(block)
        self._git_blob.update(block)

    @property
    def sha256(self) -> str:
        """Hexadecimal, of what was taken in so far."""
        return self._sha256.hexdigest()

    def is_of(self, listed: Listed) -> bool:
        """Whether what was taken in is the listed file, as far as the listing can tell."""
        return (
            self.size == listed.size
            and listed.sha256 in ("", self.sha256)
            and listed.git_blob in ("", self._git_blob.hexdigest())
        )


def without(skipped: int, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The blocks without their first ``skipped`` bytes, for servers that know no ranges."""
    for block in blocks:
        yield block[skipped:]
        skipped = max(0, skipped - len(block))


def sha256_if_whole(path: Path, listed: Listed, transfer: Transfer) -> str:
    """The sha256 of a file that was read in full and is the listed one; empty when it is not.

    A link is not followed: on a shared volume it may lead anywhere.
    """
    if path.is_symlink() or not path.is_file() or path.stat().st_size != listed.size:
        return ""
    digests = FileDigests(listed.size)
    for block in blocks(path):
        digests.update(block)
        transfer.on_bytes(len(block))
    return digests.sha256 if digests.is_of(listed) else ""
