"""Reading what was published, with every digest checked before it is trusted."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from trainer.contract.base import Wire
from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.store import layout
from trainer.store.base import MissingError, Store
from trainer.store.manifest import AnswersManifest, RunManifest

BLOCK_BYTES = 1 << 20

Document = TypeVar("Document", bound=Wire)


def read_manifest(store: Store, run_id: str) -> RunManifest | None:
    """The training manifest; None: not trained."""
    return read_document(store, layout.manifest(run_id), RunManifest)


def read_answers_manifest(
    store: Store, run_id: str, generation_hash: str
) -> AnswersManifest | None:
    """The manifest of the answers for these settings; None: not generated."""
    key = layout.answers_manifest(run_id, generation_hash)
    return read_document(store, key, AnswersManifest)


def read_document(store: Store, key: str, kind: type[Document]) -> Document | None:
    """A JSON document of ours; None: there is none.

    Raises:
        StageError: what lies there is something else.
    """
    try:
        data = store.read(key)
    except MissingError:
        return None
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        message = (
            f"{store.uri}/{key} is not a valid {kind.__name__} ({error.error_count()} errors); "
            f"it was changed by hand or by another version: move that run's directory away"
        )
        raise StageError(FailureClass.INVALID_SPEC, message) from None


def unreadable(error: ValidationError) -> str:
    """Why, without a value: what lies there may be anything."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "json_invalid":
        return "is not JSON; it was cut off or changed"
    return f"is not what this release reads ({place}: {first['type']})"


def missing_files(store: Store, run_id: str, files: Mapping[str, str]) -> list[str]:
    """Files that a manifest vouches for and that are not in the store."""
    there = {entry.key for entry in store.list(layout.run(run_id))}
    return sorted(name for name in files if layout.run(run_id, name) not in there)


def download_checked(store: Store, key: str, sha256: str, path: Path) -> None:
    """Download a file and compare its digest.

    Raises:
        StageError: it is missing or not what the manifest says.
    """
    try:
        store.download(key, path)
    except MissingError:
        message = f"{store.uri}/{key} is named by a manifest but missing; start a new run"
        raise StageError(FailureClass.NOT_FOUND, message) from None
    if sha256_file(path) != sha256.removeprefix("sha256:"):
        path.unlink()
        message = f"{store.uri}/{key} is damaged: its sha256 differs from the manifest's"
        raise StageError(FailureClass.UNAVAILABLE, message)


def sha256_file(path: Path) -> str:
    """Hexadecimal sha256 of a file's content."""
    digest = hashlib.sha256()
    for block in blocks(path):
        digest.update(block)
    return digest.hexdigest()


def blocks(path: Path) -> Iterator[bytes]:
    """The file's content, a megabyte at a time."""
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def digest_files(files: Mapping[str, Path]) -> str:
    """One digest over names and contents, independent of order."""
    return digest_names({name: sha256_file(path) for name, path in files.items()})


def digest_names(files: Mapping[str, str]) -> str:
    """The same digest from the sha256 of each file."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{files[name]}\n".encode())
    return f"sha256:{digest.hexdigest()}"
