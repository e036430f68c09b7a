"""Which files a data URI means, and that they are what the spec says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from trainer.contract.failures import FailureClass
from trainer.contract.source import DataFile, Dataset
from trainer.errors import StageError
from trainer.store.checked import sha256_file
from trainer.store.paths import below, file_path, storage_errors

KINDS = {".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet"}
SUFFIXES = ".jsonl, .csv, .parquet, .jsonl.gz or .csv.gz"


@dataclass(frozen=True)
class SourceFile:
    """One data file; ``split`` is what it was given for: train, validation or test."""

    path: Path
    name: str
    """What messages call it: a path below the URI, or the URI in an object store."""
    split: str
    kind: str
    is_gzip: bool


def find_files(
    dataset: Dataset,
    *,
    file_root: Path,
    remote: Mapping[str, Sequence[SourceFile]] | None = None,
) -> list[SourceFile]:
    """Every file of the three splits, those that were given, in a fixed order.

    Args:
        dataset: What was given.
        file_root: The directory that ``file://`` may not leave.
        remote: Files of the splits that lie in an object store.

    Raises:
        StageError: a file is missing, has another digest, or is no data file.
    """
    found: list[SourceFile] = []
    for split, given in given_splits(dataset):
        known = (remote or {}).get(split)
        found += split_files(given, split, file_root) if known is None else known
    return found


def given_splits(dataset: Dataset) -> list[tuple[str, DataFile]]:
    """The splits that the spec names, in a fixed order."""
    splits = ("train", "validation", "test")
    return [(name, given) for name in splits if (given := getattr(dataset, name)) is not None]


def split_files(given: DataFile, split: str, file_root: Path) -> list[SourceFile]:
    """The file itself, or every data file below a directory."""
    field = f"spec.dataset.{split}"
    path = file_path(given.uri, file_root=file_root, field=f"{field}.uri")
    with storage_errors(path):
        if path.is_dir():
            return directory_files(path, given, split, file_root)
        if not path.is_file():
            message = f"{field}.uri: there is no file {path}; correct the URI or put the data there"
            raise StageError(FailureClass.NOT_FOUND, message)
        check_digest(path, given, field, path.name)
    return [source_file(path, path.name, split)]


def directory_files(path: Path, given: DataFile, split: str, file_root: Path) -> list[SourceFile]:
    """Data files below a directory, by name; other files there are none of ours."""
    field = f"spec.dataset.{split}"
    refuse_digest(given, field, str(path))
    names = sorted(entry for entry in path.rglob("*") if entry.is_file() and is_data(entry))
    if not names:
        message = f"{field}.uri: {path} holds no {SUFFIXES} file; put the data there"
        raise StageError(FailureClass.NOT_FOUND, message)
    for entry in names:
        below(entry, file_root=file_root, field=f"{field}.uri")
    return [source_file(entry, entry.relative_to(path).as_posix(), split) for entry in names]


def refuse_digest(given: DataFile, field: str, place: str) -> None:
    """A directory has no digest."""
    if given.sha256 is not None:
        message = f"{field}.sha256 is the digest of one file, but {place} is a directory; remove it"
        raise StageError(FailureClass.INVALID_SPEC, message)


def source_file(path: Path, name: str, split: str) -> SourceFile:
    """A file with what its name says about it.

    Raises:
        StageError: its suffix says nothing that we read.
    """
    kind, is_gzip = kind_of(PurePath(name))
    if not kind or (is_gzip and kind == "parquet"):
        remedy = "write one JSON object a line into a .jsonl file"
        message = f"spec.dataset.{split}.uri: {name} is not {SUFFIXES}; {remedy}"
        raise StageError(FailureClass.INVALID_SPEC, message)
    return SourceFile(path, name, split, kind, is_gzip)


def is_data(path: PurePath) -> bool:
    """Whether a file of a directory is meant: we read its kind, and it is not hidden."""
    return bool(kind_of(path)[0]) and not path.name.startswith(".")


def kind_of(path: PurePath) -> tuple[str, bool]:
    """Kind by suffix, and whether it is compressed; an empty kind: unknown."""
    is_gzip = path.suffix == ".gz"
    suffix = PurePath(path.stem).suffix if is_gzip else path.suffix
    return KINDS.get(suffix, ""), is_gzip


def check_digest(path: Path, given: DataFile, field: str, name: str) -> None:
    """Refuse a file that changed since the spec was written."""
    if given.sha256 is None:
        return
    digest = sha256_file(path)
    if digest != given.sha256:
        message = (
            f"{field}.sha256: {name} has sha256 {digest}, the spec says {given.sha256}; "
            f"correct the spec, or restore the file"
        )
        raise StageError(FailureClass.INVALID_SPEC, message)
