"""A base model in a directory that this machine can read."""

from pathlib import Path

from trainer.contract.failures import FailureClass
from trainer.contract.source import DirectorySource
from trainer.errors import StageError
from trainer.sources.base import ResolvedModel, Transfer, Wanted, refused
from trainer.sources.counted import check_contents, check_names, counted
from trainer.sources.digests import DigestCache, hash_file
from trainer.sources.frozen import check_digest, check_revision, short_revision
from trainer.store.checked import digest_names
from trainer.store.paths import below, storage_errors

FIELD = "spec.baseModel.directory.path"
ADAPTER = "adapter_config.json"


def resolve_directory(wanted: Wanted, source: DirectorySource) -> ResolvedModel:
    """Prove what lies there; it is read in full whether ``weights`` are wanted or not.

    Raises:
        StageError: it is not there, not complete, not safe, or not what the run has frozen.
    """
    path = find_directory(source, wanted.file_root)
    names = list_directory(path, wanted.file_root)
    check_contents(str(path), path, names)
    with storage_errors(path):
        files = digests(path, counted(names), wanted.cache, wanted.transfer)
    digest = digest_names(files)
    revision = short_revision(digest)
    check_digest(wanted.source, str(path), digest)
    check_revision(wanted.source, str(path), revision)
    return ResolvedModel(path, str(path), revision, digest, files)


def find_directory(source: DirectorySource, file_root: Path) -> Path:
    """The directory that the spec names.

    Raises:
        StageError: it leaves ``file_root``, or there is no such directory.
    """
    path = below(Path(source.path), file_root=file_root, field=FIELD)
    if not path.is_dir():
        message = f"{FIELD}: there is no directory {path}; put a model there or correct the path"
        raise StageError(FailureClass.NOT_FOUND, message)
    return path


def list_directory(path: Path, file_root: Path) -> set[str]:
    """The names of the files there.

    Raises:
        StageError: they are no model, or a link leaves ``file_root``.
    """
    with storage_errors(path):
        names = {entry.name for entry in path.iterdir() if entry.is_file()}
        for name in counted(names):  # a link there may lead to another pod's Secret
            below(path / name, file_root=file_root, field=FIELD)
    check_names(str(path), names)
    if ADAPTER in names:
        message = f"{path} has {ADAPTER}, an adapter that would be loaded with the model unasked"
        raise refused(f"{message}; merge it into the weights, or move it away")
    return names


def digests(path: Path, names: list[str], cache: Path, transfer: Transfer) -> dict[str, str]:
    """The sha256 of each file.

    Digests are remembered for a user's own directory only. What lies on the cache volume is
    shared with other pods, and so is the memory: it is read in full each time.
    """
    transfer.on_size(sum((path / name).stat().st_size for name in names))
    if path.is_relative_to(cache.resolve()):
        return {name: hash_file(path / name, transfer.on_bytes) for name in names}
    known = DigestCache(cache, transfer.on_bytes)
    return {name: known.sha256(path / name) for name in names}
