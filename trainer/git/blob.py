"""One large file of a repository as a stream, without a disk and without all of it in memory."""

from collections.abc import Generator, Iterator
from contextlib import closing

from trainer.git.errors import Remark, git_errors
from trainer.git.objects import Objects
from trainer.git.store import BLOB
from trainer.git.unpack import Feed, PackError, count_of, header_of


def size_of(objects: Objects, name: bytes) -> int:
    """How long the file is; reads no more than the start of it.

    Raises:
        StageError: it cannot be had.
    """
    with closing(pack_of(objects, name)) as pack, git_errors(objects.client.place):
        return begun(Feed(pack))


def content_of(objects: Objects, name: bytes) -> Iterator[bytes]:
    """The file's bytes from the first on.

    Raises:
        StageError: it cannot be had.
    """
    with closing(pack_of(objects, name)) as pack, git_errors(objects.client.place):
        feed = Feed(pack)
        yield from feed.inflated(begun(feed))


def pack_of(objects: Objects, name: bytes) -> Generator[bytes, None, None]:
    """A pack with this one object."""
    try:
        yield from objects.client.pack([name.decode()], shallow=False)
    except Remark:
        raise objects.withheld() from None


def begun(feed: Feed) -> int:
    """The file's size, where its content begins; a single object is no difference to another."""
    count_of(feed)
    header = header_of(feed)
    if header.kind != BLOB:
        raise PackError("what came is no file")
    return header.size
