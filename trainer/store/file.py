"""A store in a directory: atomic by rename, conditional by link and lock.

A reader never sees part of an object: it is written beside its place under a hidden name, synced
and then moved. Hidden names are never listed.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.store.base import ConditionError, Entry, MissingError, OnBytes, ignore
from trainer.store.paths import storage_errors

HIDDEN = ".tunekeeper-"
LOCK = f"{HIDDEN}lock"
STREAM_BYTES = 1 << 20


class FileStore:
    """Objects are the files below ``root``, an absolute path without links."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def uri(self) -> str:
        """The root as a URI."""
        return f"file://{quote(str(self._root))}"

    def read(self, key: str) -> bytes:
        """The object. Raises MissingError."""
        path = self._path(key)
        with storage_errors(path), missing_as_error(key):
            return path.read_bytes()

    def read_tagged(self, key: str) -> tuple[bytes, str]:
        """The object and its tag, a digest of its content. Raises MissingError."""
        data = self.read(key)
        return data, tag_of(data)

    def write(
        self, key: str, data: bytes, *, if_none_match: bool = False, if_match: str | None = None
    ) -> str:
        """Store ``data`` whole; returns its tag. Raises ConditionError."""
        path = self._path(key)
        with storage_errors(path), self._staged(path) as staged:
            write_synced(staged, data)
            if if_none_match:
                link_new(staged, path, key)
            elif if_match is not None:
                self._replace_if(staged, path, key, if_match)
            else:
                staged.replace(path)
            sync_directory(path.parent)
        return tag_of(data)

    def exists(self, key: str) -> bool:
        """Whether the key is there."""
        path = self._path(key)
        with storage_errors(path):
            return path.is_file()

    def upload(self, path: Path, key: str) -> None:
        """Store a local file whole."""
        target = self._path(key)
        with storage_errors(target), self._staged(target) as staged:
            copy_synced(path, staged)
            staged.replace(target)
            sync_directory(target.parent)

    def download(self, key: str, path: Path, *, on_bytes: OnBytes = ignore) -> None:
        """Copy an object to a local file, whole. Raises MissingError."""
        source = self._path(key)
        with storage_errors(path), missing_as_error(key):
            if not source.is_file():
                raise MissingError(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._staged(path) as staged:
                shutil.copyfile(source, staged)
                on_bytes(staged.stat().st_size)
                staged.replace(path)

    def stream(self, key: str) -> Iterator[bytes]:
        """The object, a block of bounded size at a time. Raises MissingError."""
        path = self._path(key)
        with storage_errors(path), missing_as_error(key), path.open("rb") as file:
            while block := file.read(STREAM_BYTES):
                yield block

    def list(self, prefix: str) -> Iterator[Entry]:
        """Objects whose key starts with ``prefix``, in key order."""
        start = self._path(prefix.rpartition("/")[0])
        with storage_errors(start):
            found = [entry for entry in self._walk(start) if entry.key.startswith(prefix)]
        yield from sorted(found, key=lambda entry: entry.key)

    def delete(self, key: str) -> None:
        """Remove a key; none there is fine."""
        path = self._path(key)
        with storage_errors(path), suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()

    def delete_all(self, keys: Iterable[str]) -> None:
        """Remove many keys, and the folders that are empty then."""
        folders: set[Path] = set()
        for key in keys:
            self.delete(key)
            folders.update(Path(key).parents)
        for folder in sorted(folders - {Path()}, reverse=True):  # the deepest first
            with suppress(OSError):  # it holds something else, or somebody was faster
                self._path(folder.as_posix()).rmdir()

    def _walk(self, start: Path) -> Iterator[Entry]:
        for directory, _, names in os.walk(start):
            for name in names:
                path = Path(directory, name)
                if not name.startswith(HIDDEN) and path.is_file():
                    seen = path.stat()
                    modified = datetime.fromtimestamp(seen.st_mtime, UTC)
                    yield Entry(path.relative_to(self._root).as_posix(), seen.st_size, modified)

    def _path(self, key: str) -> Path:
        """Where a key lies; a key, or a link on its way, that leaves the root is refused."""
        path = self._root / key
        if key.startswith("/") or not path.resolve().is_relative_to(self._root):
            message = f"{key}: leads outside {self.uri}; remove the link"
            raise StageError(FailureClass.ACCESS_DENIED, message)
        return path

    @contextmanager
    def _staged(self, path: Path) -> Iterator[Path]:
        """A hidden name beside ``path``; gone afterwards whatever happens."""
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_name(f"{HIDDEN}{uuid4().hex}")
        try:
            yield staged
        finally:
            with suppress(OSError):  # moved away, or the disk that failed us fails again
                staged.unlink()

    def _replace_if(self, staged: Path, path: Path, key: str, tag: str) -> None:
        """Compare and swap; writers of every process queue at one lock."""
        with (self._root / LOCK).open("a+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                current = tag_of(path.read_bytes())
            except FileNotFoundError:
                raise ConditionError(key) from None
            if current != tag:
                raise ConditionError(key)
            staged.replace(path)


def tag_of(data: bytes) -> str:
    """The tag of an object with this content."""
    return hashlib.sha256(data).hexdigest()


def link_new(staged: Path, path: Path, key: str) -> None:
    """Give ``staged`` its name unless the name is taken: a hard link never overwrites."""
    try:
        path.hardlink_to(staged)
    except FileExistsError:
        raise ConditionError(key) from None


def write_synced(path: Path, data: bytes) -> None:
    """Write and wait until the disk has it."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def copy_synced(source: Path, target: Path) -> None:
    """Copy and wait until the disk has it."""
    with source.open("rb") as reader, target.open("wb") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        os.fsync(writer.fileno())


def sync_directory(path: Path) -> None:
    """Make a rename durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def missing_as_error(key: str) -> Iterator[None]:
    """No such file, or a directory in its place, is a missing key."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise MissingError(key) from None
