"""A look at a directory on this machine: read in full, but only when something about it moved."""

from collections.abc import Mapping
from pathlib import Path

from trainer.contract.errand import ModelRevision
from trainer.contract.source import DirectorySource
from trainer.sources.counted import check_contents, counted
from trainer.sources.digests import hash_file, identity_of
from trainer.sources.directory import find_directory, list_directory
from trainer.sources.frozen import short_revision
from trainer.sources.look_base import Look, remembered, steady, whole_digest
from trainer.store.paths import storage_errors


def look_directory(look: Look, source: DirectorySource) -> ModelRevision:
    """What lies there now.

    Raises:
        StageError: it is not there, no run could train on it, or it changes all the time.
    """
    path = find_directory(source, look.file_root)
    digest = steady(
        str(path),
        lambda: identities(path, look.file_root),
        lambda found: digest_of(look, path, found),
    )
    return ModelRevision(revision=short_revision(digest), content_digest=digest)


def identities(path: Path, file_root: Path) -> dict[str, str]:
    """Each counted file by what changes with it.

    The time of change is in it, which nobody sets back as one can that of modification.
    """
    names = list_directory(path, file_root)
    with storage_errors(path):
        return {name: f"file {identity_of(path / name)}" for name in counted(names)}


def digest_of(look: Look, path: Path, found: Mapping[str, str]) -> str:
    """The content digest, by the memo where it knows."""

    def read() -> dict[str, str]:
        check_contents(str(path), path, found.keys())
        with storage_errors(path):
            return {name: read_file(name) for name in found}

    def read_file(name: str) -> str:
        file = path / name
        return remembered(
            look,
            found[name],
            file.stat().st_size,
            lambda: hash_file(file, look.transfer.on_bytes),
        )

    return whole_digest(look, found.values(), read)
