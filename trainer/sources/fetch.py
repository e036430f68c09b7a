"""Fetching one file into a shared directory: whole and checked, or not there at all.

Bytes go to a hidden part file beside the place where the file will be. The part is locked by
the process that fills it, survives that process, and is taken up by the next one; a second
process at the same time fills a part of its own, so that nobody waits and nobody is hurt. Where
locks do nothing (some network file systems) the digest still decides what gets the real name.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import BinaryIO, TypeVar

from trainer.sources.base import BrokenOffError, Transfer
from trainer.sources.listing import FileDigests, Listed, Remote
from trainer.store.checked import BLOCK_BYTES
from trainer.store.paths import storage_errors

Answer = TypeVar("Answer")

PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Waits between tries that bring no byte; one more and the stage fails, to be tried again."""

ROUNDS = 2
"""Whole downloads of one file before its source is said to be wrong: a part may be torn."""


def fetch(remote: Remote, name: str, listed: Listed, directory: Path, transfer: Transfer) -> str:
    """Put the file into ``directory``; returns its sha256.

    Raises:
        StageError: it cannot be had, or is not what the listing says.
    """
    with storage_errors(directory), open_part(directory / name) as part:
        for _ in range(ROUNDS):
            digests = fill(part, remote, name, listed, transfer)
            if digests.is_of(listed):
                part.flush()
                Path(part.name).replace(directory / name)
                return digests.sha256
            part.truncate(0)
        Path(part.name).unlink(missing_ok=True)
    raise remote.differs(name)


def fill(
    part: BinaryIO, remote: Remote, name: str, listed: Listed, transfer: Transfer
) -> FileDigests:
    """Complete the part from what is there already; the digests are of all of it."""
    digests = take_up(part, listed, transfer)
    for block in resumed(remote, name, listed.size, transfer, start=digests.size):
        part.write(block)
        digests.update(block)
    return digests


def take_up(part: BinaryIO, listed: Listed, transfer: Transfer) -> FileDigests:
    """Read what an earlier attempt left, and stand behind it."""
    if os.fstat(part.fileno()).st_size > listed.size:
        part.truncate(0)
    part.seek(0)
    digests = FileDigests(listed.size)
    while block := part.read(BLOCK_BYTES):
        digests.update(block)
        transfer.on_bytes(len(block))
    return digests


def resumed(
    remote: Remote, name: str, size: int, transfer: Transfer, *, start: int = 0
) -> Iterator[bytes]:
    """The file's bytes from ``start`` to ``size``, however often the transfer breaks off.

    Raises:
        StageError: it broke off too often without a byte in between.
    """
    at, fruitless = start, 0
    while at < size:
        before, error = at, BrokenOffError(f"{remote.place}: {name} ended at byte {at} of {size}")
        try:
            for block in remote.stream(name, at):
                transfer.on_bytes(len(block))
                at += len(block)
                yield block
                if at > size:
                    return
        except BrokenOffError as broken:
            error = broken
        if at >= size:
            return
        fruitless = fruitless + 1 if at == before else 1
        if fruitless > len(PAUSES_S):
            raise error
        transfer.pause(PAUSES_S[fruitless - 1])


def tried_again(ask: Callable[[], Answer], transfer: Transfer) -> Answer:
    """The answer to a question that may break off a few times."""
    for pause_s in PAUSES_S:
        try:
            return ask()
        except BrokenOffError:
            transfer.pause(pause_s)
    return ask()


@contextmanager
def open_part(final: Path) -> Iterator[BinaryIO]:
    """The first hidden part of the file that no other process is filling."""
    for number in count():
        path = part_path(final, number)
        with open(path, "r+b", opener=open_no_link) as part:
            if is_mine(part, path):
                yield part
                return


def open_no_link(path: str, flags: int) -> int:
    """Open or make a file, but not through a link that somebody planted there."""
    return os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o664)


def is_mine(part: BinaryIO, path: Path) -> bool:
    """Lock the part, unless another process has it or has just moved it to its real name."""
    try:
        fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: the digest decides
        return True
    try:
        return os.fstat(part.fileno()).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def part_path(final: Path, number: int) -> Path:
    """Where the file's content lies while it is not whole."""
    return final.with_name(f".{final.name}.{number}.part")


def part_bytes(final: Path) -> int:
    """How much of the file an earlier attempt may have left."""
    path = part_path(final, 0)
    return path.stat().st_size if path.is_file() else 0
