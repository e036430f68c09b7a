"""A look at a source: what its newest revision contains, for as few bytes as can be.

What all kinds of source share. A look keeps nothing on a disk and fetches no weights that the
source itself vouches for; its digest is the one that ``resolve`` finds for the same files.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from trainer.contract.errand import ModelRevision
from trainer.contract.failures import FailureClass
from trainer.contract.source import ModelSource
from trainer.errors import StageError
from trainer.sources.base import ChangedError, Transfer, refused
from trainer.sources.counted import INDEXES, check_contents, check_names, counted, matches
from trainer.sources.fetch import fetch, resumed
from trainer.sources.listing import FileDigests, Listed, Remote
from trainer.sources.memo import Memo
from trainer.store.checked import digest_names
from trainer.store.paths import storage_errors
from trainer.store.secrets import SecretFiles

ROUNDS = 2
"""Looks at a place that changes meanwhile, before it is left for another time."""
MAX_DOCUMENT_BYTES = 64 << 20
"""Of a config or an index, which are read into memory."""
FIRST = 1 << 250
"""The size that keeps an entry at the front of a memo."""

Listing = TypeVar("Listing")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Look:
    """What is looked at, and what the last look left."""

    source: ModelSource
    secrets: SecretFiles
    work: Path
    file_root: Path
    known: ModelRevision | None
    memo: Memo
    transfer: Transfer

    def is_known(self, digest: str) -> bool:
        """Whether the last look has found, and so checked, just this content."""
        return self.known is not None and self.known.content_digest == digest


def counted_of(place: str, names: Mapping[str, Listed]) -> dict[str, Listed]:
    """The files that the digest covers.

    Raises:
        StageError: no run could train on what is there.
    """
    check_names(place, names)
    return {name: names[name] for name in counted(names)}


def remembered(look: Look, identity: str, size: int, read: Callable[[], str]) -> str:
    """The sha256 of a file, remembered or else read."""
    digest = look.memo.get(identity) or read()
    look.memo.put(identity, digest, size)
    return digest


def sha256_of(remote: Remote, name: str, listed: Listed, transfer: Transfer) -> str:
    """Digest of a file that is read through, without a disk.

    Raises:
        StageError: it cannot be read, or is not what was listed.
    """
    digests = FileDigests(listed.size)
    for block in resumed(remote, name, listed.size, transfer):
        digests.update(block)
    if not digests.is_of(listed):
        raise remote.differs(name)
    return digests.sha256


def check_documents(
    look: Look, remote: Remote, listing: Mapping[str, Listed], names: Collection[str]
) -> None:
    """Refuse an unreadable config, and weights of which a part is not there yet.

    ``listing`` has the sha256 of each file.
    """
    wanted = [name for name in listing if name == "config.json" or matches(name, INDEXES)]
    for name in wanted:
        if listing[name].size > MAX_DOCUMENT_BYTES:
            raise refused(f"{remote.place} has {name} of {listing[name].size} bytes; correct it")
    with storage_errors(look.work), TemporaryDirectory(dir=look.work) as directory:
        for name in wanted:
            fetch(remote, name, listing[name], Path(directory), look.transfer)
        check_contents(remote.place, Path(directory), names)


def steady(place: str, ask: Callable[[], Listing], read: Callable[[Listing], Found]) -> Found:
    """What is read of a place that is the same before and after it; tried once more.

    Raises:
        StageError: it cannot be read, or changes all the time.
    """
    for _ in range(ROUNDS):
        before = ask()
        try:
            found = read(before)
        except StageError as error:
            if error.failure is FailureClass.INTERRUPTED or ask() == before:
                raise
            continue
        if ask() == before:
            return found
    message = f"{place} changes while it is read; it is looked at again when the upload has ended"
    raise ChangedError(message)


def whole_digest(
    look: Look, identities: Iterable[str], read: Callable[[], Mapping[str, str]]
) -> str:
    """The content digest, which one entry of the memo keeps while no file changes.

    A memo has no room for each of some hundred shards; so nothing is read again while all of
    them are as they were.
    """
    identity = "\0".join(["all", *identities])
    digest = look.memo.get(identity) or digest_names(read()).removeprefix("sha256:")
    look.memo.put(identity, digest, FIRST)
    return f"sha256:{digest}"


def with_digests(listing: Mapping[str, Listed], files: Mapping[str, str]) -> dict[str, Listed]:
    """The listing, vouched for by what was read."""
    return {name: replace(listed, sha256=files[name]) for name, listed in listing.items()}
