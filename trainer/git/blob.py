"""One large file of a repository as a stream, without a disk and without all of it in memory."""

import zlib
from collections.abc import Generator, Iterator
from contextlib import closing

from trainer.git.errors import Remark, git_errors
from trainer.git.objects import Objects
from trainer.sources.base import BrokenOffError

PACK_HEADER_BYTES = 12
LONGEST_HEADER_BYTES = PACK_HEADER_BYTES + 10
BLOB = 3
OUT_BYTES = 1 << 20


def size_of(objects: Objects, name: bytes) -> int:
    """How long the file is; reads no more than the start of it.

    Raises:
        StageError: it cannot be had.
    """
    with closing(opened_pack(objects, name)) as pack:
        return parsed(objects, gathered(pack))[0]


def content_of(objects: Objects, name: bytes) -> Iterator[bytes]:
    """The file's bytes from the first on.

    Raises:
        StageError: it cannot be had.
    """
    with closing(opened_pack(objects, name)) as pack, git_errors(objects.client.place):
        _, rest = parsed(objects, gathered(pack))
        inflating = zlib.decompressobj()
        while True:
            yield from inflated(inflating, rest)
            if inflating.eof:
                return
            rest = next(pack, b"")
            if not rest:
                raise broken_off(objects)


def inflated(inflating: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    """What comes out for this; a megabyte at a time, whatever it is blown up to."""
    while data and not inflating.eof:
        block = inflating.decompress(data, OUT_BYTES)
        if block:
            yield block
        data = inflating.unconsumed_tail


def opened_pack(objects: Objects, name: bytes) -> Generator[bytes, None, None]:
    """A pack with this one object."""
    try:
        yield from objects.client.pack([name.decode()], shallow=False)
    except Remark:
        raise objects.withheld() from None


def gathered(pack: Iterator[bytes]) -> bytes:
    """The pack's first bytes, as many as its two headers can take."""
    start = b""
    for block in pack:
        start += block
        if len(start) >= LONGEST_HEADER_BYTES:
            break
    return start


def parsed(objects: Objects, start: bytes) -> tuple[int, bytes]:
    """The object's size and where its content begins; a single object is never a delta."""
    if len(start) <= PACK_HEADER_BYTES or not start.startswith(b"PACK"):
        raise broken_off(objects)
    size, shift = 0, 4
    for at, byte in enumerate(start[PACK_HEADER_BYTES:], start=PACK_HEADER_BYTES):
        if at == PACK_HEADER_BYTES:
            size = byte & 15
            if byte >> 4 & 7 != BLOB:
                raise broken_off(objects)
        else:
            size |= (byte & 127) << shift
            shift += 7
        if not byte & 128:
            return size, start[at + 1 :]
    raise broken_off(objects)


def broken_off(objects: Objects) -> BrokenOffError:
    """Less came than a whole object."""
    return BrokenOffError(objects.client.place.says("a file ended too early; try again later"))
