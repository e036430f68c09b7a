"""A commit's trees and small files on a scratch disk; large files stay on the server.

The first pack has the commit without its history and, where the server filters, without files of
1 KiB and more: that is every tree, and every LFS pointer, but no weights. What else is wanted is
asked for by name.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from dulwich.objects import Commit, ShaFile, Tree

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.git.client import Client
from trainer.git.errors import Remark, git_errors
from trainer.git.store import COMMIT, Store
from trainer.git.unpack import unpack
from trainer.sources.base import Transfer
from trainer.store.paths import storage_errors

SMALL_BYTES = 1024
"""A pointer of LFS is shorter, by its specification."""

SMALL_FILES = f"blob:limit={SMALL_BYTES}"
WANTS = 5_000
"""Names in one request."""


class Objects:
    """What was fetched of one repository."""

    def __init__(self, client: Client, store: Store, transfer: Transfer) -> None:
        self.client = client
        self._store = store
        self._transfer = transfer

    def commits(self, *names: str) -> list[Commit]:
        """Fetch commits with their trees and small files, without their parents.

        Raises:
            StageError: one of them is not there, or none can be had.
        """
        try:
            self._fetch(names, shallow=True, limit=SMALL_FILES)
        except Remark as remark:
            if "not our ref" in str(remark) or "unadvertised" in str(remark):
                raise self._no_commit(names) from None
            try:
                self._fetch(names, shallow=True)  # a server may filter, but not by size
            except Remark:
                raise self._no_commit(names) from None
        return [self._commit(name) for name in names]

    def tree(self, name: bytes) -> Tree:
        """A directory of a fetched commit."""
        with git_errors(self.client.place):
            found = ShaFile.from_raw_string(self._store.kind(name), self._store.content(name))
        assert isinstance(found, Tree)  # noqa: S101 - its entry in a tree says so
        return found

    def has(self, name: bytes) -> bool:
        """Whether a file's content is here."""
        return self._store.has(name)

    def path(self, name: bytes) -> Path:
        """Where the content of a file lies that is here."""
        return self._store.path(name)

    def blob(self, name: bytes) -> bytes:
        """A file's content, which is here."""
        with git_errors(self.client.place):
            return self._store.content(name)

    def bring(self, names: Iterable[bytes]) -> None:
        """Have these files' contents here.

        Raises:
            StageError: they cannot be had.
        """
        missing = sorted({name.decode() for name in names if not self.has(name)})
        for start in range(0, len(missing), WANTS):
            try:
                self._fetch(missing[start : start + WANTS], shallow=False)
            except Remark:
                raise self.withheld() from None

    def withheld(self) -> StageError:
        """A server gives a commit, but not what is in it."""
        reason = "gives a commit without its files when it is asked for them; see its log"
        return self.client.place.error(FailureClass.UNAVAILABLE, reason)

    def _fetch(self, names: Iterable[str], *, shallow: bool, limit: str = "") -> None:
        with git_errors(self.client.place):
            unpack(
                self._told(self.client.pack(list(names), shallow=shallow, limit=limit)), self._store
            )

    def _told(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            self._transfer.on_bytes(0)
            yield block

    def _commit(self, name: str) -> Commit:
        key = name.encode()
        if not self._store.has(key) or self._store.kind(key) != COMMIT:
            raise self._no_commit([name])
        found = ShaFile.from_raw_string(COMMIT, self._store.content(key))
        assert isinstance(found, Commit)  # noqa: S101 - its kind says so
        return found

    def _no_commit(self, names: Iterable[str]) -> StageError:
        reason = (
            f"there is no commit {', '.join(names)}, or it is no longer given; correct the "
            f"revision, or keep a branch or tag on it"
        )
        return self.client.place.error(FailureClass.NOT_FOUND, reason)


@contextmanager
def opened(client: Client, scratch: Path, transfer: Transfer) -> Iterator[Objects]:
    """An empty store below ``scratch``, removed in the end."""
    with storage_errors(scratch):
        scratch.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".git-", dir=scratch) as folder:
            yield Objects(client, Store(Path(folder)), transfer)
