"""Brings data files of an object store onto this machine, so that one path reads them all.

Owns where they lie and how long; messages name the ``s3://`` URI, never the copy.
"""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePath

from trainer.contract.failures import FailureClass
from trainer.contract.source import DataFile, Dataset
from trainer.data.files import (
    SUFFIXES,
    SourceFile,
    check_digest,
    given_splits,
    is_data,
    kind_of,
    refuse_digest,
    source_file,
)
from trainer.data.intake import check_stop
from trainer.errors import StageError
from trainer.stage import StageContext
from trainer.store.base import Entry, MissingError, OnBytes, Store
from trainer.store.open import open_store

FETCH = "fetch data"
PARALLEL_FILES = 4
"""Each of them is read by ranges in parallel already; this is for many small ones."""
GIB = 1 << 30


@dataclass(frozen=True)
class Remote:
    """One object to bring, and the file that it becomes."""

    store: Store
    entry: Entry
    file: SourceFile
    given: DataFile


@dataclass(frozen=True)
class RemoteData:
    """What lies in an object store, and the directory that copies go to."""

    wanted: list[Remote]
    directory: Path

    @property
    def files(self) -> dict[str, list[SourceFile]]:
        """The files of each split of which any are there; on this machine once downloaded."""
        splits = {remote.file.split for remote in self.wanted}
        return {
            split: [remote.file for remote in self.wanted if remote.file.split == split]
            for split in splits
        }

    def forget(self) -> None:
        """Free the space; nobody reads them twice."""
        shutil.rmtree(self.directory, ignore_errors=True)


def is_remote(dataset: Dataset) -> bool:
    """Whether any split lies in an object store."""
    return any(given.uri.startswith("s3://") for _, given in given_splits(dataset))


def find_remote(ctx: StageContext) -> RemoteData:
    """Look up what is not on this machine; downloads nothing.

    Raises:
        StageError: it is not there, or not to be had with these credentials.
    """
    wanted = [
        remote
        for split, given in given_splits(ctx.request.spec.dataset)
        if given.uri.startswith("s3://")
        for remote in remote_files(ctx, split, given)
    ]
    return RemoteData(wanted, ctx.work / "data")


def remote_files(ctx: StageContext, split: str, given: DataFile) -> Iterator[Remote]:
    """The object itself, or every data file below a prefix, in key order."""
    field = f"spec.dataset.{split}"
    folder, name = split_uri(given.uri)
    store = open_store(
        folder,
        ctx.request.spec.dataset.storage,
        file_root=ctx.file_root,
        secrets=ctx.secrets,
        role="dataset",
        field=f"{field}.uri",
    )
    for number, entry in enumerate(entries(store, name, given, field)):
        suffix = "".join(PurePath(entry.key).suffixes[-2:])
        place = ctx.work / "data" / f"{split}-{number:05d}{suffix[-20:]}"
        yield Remote(store, entry, source_file(place, f"{folder}/{entry.key}", split), given)


def split_uri(uri: str) -> tuple[str, str]:
    """The folder and the name in it; of a bucket, or of ``.../``, the name is empty."""
    bucket, slash, key = uri.removeprefix("s3://").partition("/")
    parent, _, name = key.rpartition("/")
    return f"s3://{bucket}{slash}{parent}".rstrip("/"), name


def entries(store: Store, name: str, given: DataFile, field: str) -> list[Entry]:
    """What the URI means: one object, or the data files below it.

    Raises:
        StageError: there is neither.
    """
    found = candidates(store, name)
    if any(entry.key == name for entry in found):
        return [entry for entry in found if entry.key == name]
    folder = f"{name}/" if name else ""
    below = [e for e in found if e.key.startswith(folder) and is_data(PurePath(e.key))]
    if not below:
        message = (
            f"{field}.uri: there is no object {given.uri} and no {SUFFIXES} file below it; "
            f"correct the URI or put the data there"
        )
        raise StageError(FailureClass.NOT_FOUND, message)
    refuse_digest(given, field, given.uri)
    return below


def candidates(store: Store, name: str) -> list[Entry]:
    """Objects that the name may mean; siblings only where that is the one way to find it.

    A prefix without a slash at its end also lists ``train-old/`` beside ``train/``.
    """
    if not name or kind_of(PurePath(name))[0]:
        return list(store.list(name))
    is_one = store.exists(name)
    return [Entry(name, 0)] if is_one else list(store.list(f"{name}/"))


def download(ctx: StageContext, data: RemoteData) -> None:
    """Bring every file, a few at a time, under one progress bar.

    Raises:
        StageError: a file went away, is not as the spec says, or all are larger than the disk.
    """
    if not data.wanted:
        return
    total = sum(remote.entry.size for remote in data.wanted)
    check_room(ctx.work, total)
    ctx.progress.start(FETCH, total)

    def advance(count: int) -> None:
        check_stop(ctx.stop)
        ctx.progress.advance(count)

    with ThreadPoolExecutor(PARALLEL_FILES) as pool:
        list(pool.map(lambda remote: bring(remote, advance), data.wanted))


def bring(remote: Remote, on_bytes: OnBytes) -> None:
    """Download one file and compare its digest."""
    file = remote.file
    try:
        remote.store.download(remote.entry.key, file.path, on_bytes=on_bytes)
    except MissingError:
        message = f"spec.dataset.{file.split}.uri: {file.name} was removed while the data was read"
        raise StageError(FailureClass.NOT_FOUND, f"{message}; run it again") from None
    check_digest(file.path, remote.given, f"spec.dataset.{file.split}", file.name)


def check_room(work: Path, size: int) -> None:
    """Refuse data that the scratch directory cannot hold.

    Raises:
        StageError: HOST_STORAGE_EXCEEDED.
    """
    free = shutil.disk_usage(work).free
    if size > free:
        message = (
            f"spec.dataset: the data files have {size / GIB:.1f} GiB, the disk for scratch files "
            f"has {free / GIB:.1f} GiB free; give it more space (on a cluster: a node with more "
            f"ephemeral storage, by spec.compute.nodeSelector), or use fewer rows"
        )
        raise StageError(FailureClass.HOST_STORAGE_EXCEEDED, message)
