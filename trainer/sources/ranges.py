"""Reading one large object by several requests at once, handed on in order.

The pieces in flight are all the memory it takes; nothing touches a disk.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

PIECE_BYTES = 8 << 20
CONCURRENCY = 6


@dataclass(frozen=True)
class Piece:
    """Part of an object: its bytes, the size of the whole, and the tag of that version."""

    content: bytes
    total: int
    tag: str


ReadPiece = Callable[[int, int, str], Piece]
"""Offset, length and tag to a piece; of the version with that tag, unless it is empty."""


def in_order(read: ReadPiece, start: int, tag: str = "") -> Iterator[bytes]:
    """The object's bytes from ``start`` on, all of one version: that with the tag, if any."""
    first = read(start, PIECE_BYTES, tag)
    yield first.content
    offsets = iter(range(start + PIECE_BYTES, first.total, PIECE_BYTES))
    if start + PIECE_BYTES >= first.total:
        return
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        try:
            yield from (piece.content for piece in ahead(pool, read, offsets, first.tag))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def ahead(
    pool: ThreadPoolExecutor, read: ReadPiece, offsets: Iterator[int], tag: str
) -> Iterator[Piece]:
    """The pieces in order, while the next ones are on their way."""
    coming: deque[Future[Piece]] = deque()
    while True:
        room = CONCURRENCY - len(coming)
        coming.extend(
            pool.submit(read, offset, PIECE_BYTES, tag) for offset in islice(offsets, room)
        )
        if not coming:
            return
        yield coming.popleft().result()
