"""A pack as it comes from a server, taken apart without all of it in memory.

dulwich's own reader holds every object in memory, several times over: a file of 300 MB took 950.
Format: https://git-scm.com/docs/pack-format.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from dulwich.errors import GitProtocolError
from dulwich.pack import apply_delta

from trainer.git.store import BLOB, KINDS, Store

OFFSET_DELTA, NAME_DELTA = 6, 7
NAME_BYTES = 20
OUT_BYTES = 1 << 20
HELD_BYTES = 256 << 20
"""Of trees, commits and differences, which are in memory; a commit's are a few megabytes."""
WHOLE_BYTES = 512 << 20
"""Of a file that a difference makes of another: Git makes none of larger (bigFileThreshold)."""
MAX_SHIFT = 63


class PackError(GitProtocolError):
    """What came is no pack, or not all of one."""


class Feed:
    """Bytes as they come, and how far they were read."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""
        self.offset = 0

    def exactly(self, count: int) -> bytes:
        """The next bytes.

        Raises:
            PackError: there are not so many.
        """
        while len(self._rest) < count:
            self._rest += self._more()
        taken, self._rest = self._rest[:count], self._rest[count:]
        self.offset += count
        return taken

    def inflated(self, size: int) -> Iterator[bytes]:
        """The next compressed content, a megabyte at a time whatever it is blown up to.

        Raises:
            PackError: it is not of this size.
        """
        inflating, got, is_over = zlib.decompressobj(), 0, False
        while not is_over:
            data = self._rest or self._more()
            block = inflating.decompress(data, OUT_BYTES)
            is_over = inflating.eof
            self._rest = inflating.unused_data if is_over else inflating.unconsumed_tail
            self.offset += len(data) - len(self._rest)
            got += len(block)
            if got > size:
                break
            if block:
                yield block
        if got != size:
            raise PackError("an object has another size than its header says")

    def _more(self) -> bytes:
        for block in self._blocks:
            if block:  # an empty one only says that the server is alive
                return block
        raise PackError("the pack ended too early")


@dataclass(frozen=True)
class Header:
    """Of one object in a pack."""

    offset: int
    kind: int
    size: int
    base: int | bytes = 0
    """Of a difference: the offset or the name of what it is to."""


@dataclass(frozen=True)
class Delta:
    """A difference to another object, which may come later."""

    offset: int
    base: int | bytes
    content: bytes


def unpack(blocks: Iterator[bytes], store: Store) -> None:
    """Put every object of the pack into the store.

    Raises:
        PackError: it is damaged, or lacks what it refers to.
    """
    feed = Feed(blocks)
    places: dict[int, bytes] = {}
    deltas, held = [], 0
    for _ in range(count_of(feed)):
        header = header_of(feed)
        held += header.size if header.kind != BLOB else 0
        if held > HELD_BYTES:
            raise PackError("its trees and differences are too large")
        content = feed.inflated(header.size)
        if header.kind in KINDS:
            places[header.offset] = store.add(header.kind, header.size, content)
        else:
            deltas.append(Delta(header.offset, header.base, b"".join(content)))
    resolve(deltas, places, store)


def resolve(deltas: list[Delta], places: dict[int, bytes], store: Store) -> None:
    """Make whole objects of differences, each as soon as what it refers to is there."""
    while deltas:
        later = [delta for delta in deltas if not apply(delta, places, store)]
        if len(later) == len(deltas):
            raise PackError("the pack lacks an object that another one refers to")
        deltas = later


def apply(delta: Delta, places: dict[int, bytes], store: Store) -> bool:
    """Whether what the difference refers to was there."""
    base = delta.base if isinstance(delta.base, bytes) else places.get(delta.base, b"")
    if not base or not store.has(base):
        return False
    if max(sizes_of(delta.content)) > WHOLE_BYTES:
        raise PackError("a difference is to too large an object")
    chunks = apply_delta(store.content(base), delta.content)
    size = sum(map(len, chunks))
    places[delta.offset] = store.add(store.kind(base), size, chunks)
    return True


def sizes_of(delta: bytes) -> tuple[int, int]:
    """Of what a difference refers to, and of what it makes; its content begins with them."""
    feed = Feed(iter([delta]))
    first, second = (number_of(feed, feed.exactly(1)[0], 7) for _ in range(2))
    return first, second


def count_of(feed: Feed) -> int:
    """How many objects follow."""
    start = feed.exactly(12)
    if not start.startswith(b"PACK"):
        raise PackError("what came is no pack")
    return int.from_bytes(start[8:], "big")


def header_of(feed: Feed) -> Header:
    """Kind, size and what it refers to."""
    offset = feed.offset
    byte = feed.exactly(1)[0]
    kind, size = byte >> 4 & 7, number_of(feed, byte, 4)
    if kind == OFFSET_DELTA:
        return Header(offset, kind, size, offset - distance_of(feed))
    if kind == NAME_DELTA:
        return Header(offset, kind, size, feed.exactly(NAME_BYTES).hex().encode())
    if kind not in KINDS:
        raise PackError("an object is of no known kind")
    return Header(offset, kind, size)


def number_of(feed: Feed, byte: int, bits: int) -> int:
    """A number that begins with so many bits of a byte; seven more in each that follows.

    Raises:
        PackError: it is none that Git writes.
    """
    number, shift = byte & (1 << bits) - 1, bits
    while byte & 128:
        if shift > MAX_SHIFT:
            raise PackError("a number is too large")
        byte = feed.exactly(1)[0]
        number |= (byte & 127) << shift
        shift += 7
    return number


def distance_of(feed: Feed) -> int:
    """How far before a difference its base begins; each further byte also counts one more."""
    byte = feed.exactly(1)[0]
    distance = byte & 127
    while byte & 128:
        byte = feed.exactly(1)[0]
        distance = (distance + 1 << 7) | (byte & 127)
    return distance
