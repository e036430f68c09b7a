"""Adapters on this machine's disk, each in a folder that is named after its content.

A copy is used only if its files give its name, so one that was torn, damaged or half written is
fetched again, and what a server was given never changes under it.
"""

import shutil
from pathlib import Path
from uuid import uuid4

from pydantic import ValidationError

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.follow.wanted import Wanted
from trainer.store.base import MissingError, Store
from trainer.store.checked import digest_files
from trainer.store.file import HIDDEN
from trainer.store.manifest import ADAPTER_FILES, BaseBinding
from trainer.store.paths import storage_errors

ACCEPTED = "accepted"
"""A link to the copy that a server took last: what a restarted server gets in an outage."""
READY = "ready"
"""Is there while a server serves an adapter from here; for probes."""

SPARE = 2
"""Copies that stay beside the one in use: requests under way may still name them, and a promotion
that moves back finds its adapter here."""


class Copies:
    """Those below one directory, which the server sees under the same path."""

    def __init__(self, root: Path, base: str) -> None:
        self.root = root.absolute()
        self._base = base
        with storage_errors(root):
            root.mkdir(parents=True, exist_ok=True)
            for left_over in root.glob(f"{HIDDEN}*"):
                _remove(left_over)

    def path(self, digest: str) -> Path:
        """Where the copy is, or would be."""
        return self.root / digest.removeprefix("sha256:")

    def fetch(self, store: Store, wanted: Wanted) -> Path:
        """The copy, downloaded unless it is here and whole.

        Raises:
            StageError: it cannot be had, is not what was promoted, or is for another base model.
        """
        path = self.path(wanted.digest)
        if not self.is_whole(path):
            with storage_errors(path):
                self._download(store, wanted, path)
        self._check_base(path)
        return path

    def accepted(self) -> Path | None:
        """The copy that a server took last, if it is whole."""
        link = self.root / ACCEPTED
        with storage_errors(link):
            path = self.root / link.readlink().name if link.is_symlink() else None
        return path if path and self.is_whole(path) else None

    def accept(self, path: Path) -> None:
        """Remember that a server took it."""
        with storage_errors(path):
            staged = self.root / f"{HIDDEN}{uuid4().hex}"
            staged.symlink_to(path.name)
            staged.replace(self.root / ACCEPTED)

    def show_ready(self, is_ready: bool) -> None:
        """Put the mark for probes, or take it away."""
        mark = self.root / READY
        with storage_errors(mark):
            if is_ready:
                mark.touch()
            else:
                mark.unlink(missing_ok=True)

    def prune(self, used: Path) -> None:
        """Remove the copies but the one in use and the newest others."""
        with storage_errors(self.root):
            folders = [path for path in self.root.iterdir() if path.is_dir()]
            others = [path for path in folders if path != used and not path.is_symlink()]
            for path in sorted(others, key=lambda path: path.stat().st_mtime)[:-SPARE]:
                _remove(path)

    def is_whole(self, path: Path) -> bool:
        """Whether the copy is what its name says."""
        files = {name: path / name for name in ADAPTER_FILES}
        with storage_errors(path):
            is_there = all(file.is_file() for file in files.values())
            return is_there and digest_files(files) == f"sha256:{path.name}"

    def _download(self, store: Store, wanted: Wanted, path: Path) -> None:
        staged = self.root / f"{HIDDEN}{uuid4().hex}"
        try:
            for name in ADAPTER_FILES:
                _download_file(store, f"{wanted.folder}/{name}", staged / name)
            found = digest_files({name: staged / name for name in ADAPTER_FILES})
            if found != wanted.digest:
                message = f"{store.uri}/{wanted.folder} is not the adapter that was promoted"
                reason = f"{message}: its digest is {found}, not {wanted.digest}"
                raise StageError(FailureClass.UNAVAILABLE, reason)
            _remove(path)
            staged.rename(path)
        finally:
            _remove(staged)

    def _check_base(self, path: Path) -> None:
        try:
            data = (path / "base.json").read_bytes()
            binding = BaseBinding.model_validate_json(data, extra="ignore")
        except ValidationError:
            message = f"{path}/base.json does not say which base model the adapter is for"
            raise StageError(FailureClass.INVALID_SPEC, message) from None
        if self._base not in (binding.revision, binding.content_digest):
            message = (
                f"the adapter {path.name} is for base model {binding.revision}, "
                f"and the server runs {self._base}"
            )
            raise StageError(FailureClass.INVALID_SPEC, message)


def _download_file(store: Store, key: str, path: Path) -> None:
    try:
        store.download(key, path)
    except MissingError:
        message = f"{store.uri}/{key} is promoted and is not there"
        raise StageError(FailureClass.NOT_FOUND, message) from None


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)
