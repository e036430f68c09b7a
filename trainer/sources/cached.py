"""Base models on the cache volume, which other pods write to: found there, never believed.

A model's directory holds its files and a record of their digests. The record is not trusted
either: it counts only when it adds up to the content digest that the run has frozen, and a file
counts only when it was read in full and has the digest that the record gives.
"""

import json
import shutil
from collections.abc import Collection, Mapping
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.sources.base import Transfer
from trainer.sources.counted import is_weight
from trainer.sources.fetch import part_bytes
from trainer.sources.listing import Listed, sha256_if_whole
from trainer.store.checked import digest_names
from trainer.store.paths import storage_errors

RECORD = ".files.json"


def model_directory(cache: Path, identity: str) -> Path:
    """Where the model of that source and revision is kept, if it is."""
    return cache / "models" / sha256(identity.encode()).hexdigest()[:16]


def note(directory: Path, files: Mapping[str, str]) -> None:
    """Leave a record for later stages; without one they ask the source again."""
    path = directory / RECORD
    staged = path.with_name(f"{RECORD}.{uuid4().hex}.part")
    try:
        staged.write_text(json.dumps(dict(files), sort_keys=True), encoding="utf-8")
        staged.replace(path)
    except OSError:
        staged.unlink(missing_ok=True)


def recall(directory: Path, content_digest: str | None) -> dict[str, str]:
    """The sha256 of each file, where the record adds up to the frozen digest; else nothing."""
    try:
        record = json.loads((directory / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(record, dict) or not all(isinstance(each, str) for each in record.values()):
        return {}
    return record if digest_names(record) == content_digest else {}


def find_whole(
    directory: Path, content_digest: str | None, *, weights: bool, transfer: Transfer
) -> dict[str, str]:
    """The files of a model that is in the cache as the run has frozen it; else nothing."""
    record = recall(directory, content_digest)
    sizes = {
        name: regular_size(directory / name) for name in record if weights or not is_weight(name)
    }
    if not sizes or None in sizes.values():
        return {}
    listing = {name: Listed(size or 0, sha256=record[name]) for name, size in sizes.items()}
    transfer.on_size(sum(listed.size for listed in listing.values()))
    is_whole = all(
        sha256_if_whole(directory / name, listed, transfer) for name, listed in listing.items()
    )
    return record if is_whole else {}


def regular_size(path: Path) -> int | None:
    """Size of a file that is no link; None: there is none."""
    return path.stat().st_size if path.is_file() and not path.is_symlink() else None


def sweep(directory: Path, files: Collection[str]) -> None:
    """Remove what is no part of the model but would be read with it.

    transformers looks for more than was listed: an adapter beside the weights, a template.
    """
    with storage_errors(directory):
        for entry in directory.iterdir():
            if entry.name in files or entry.name.startswith("."):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)


def check_room(directory: Path, sizes: Mapping[str, int]) -> None:
    """Refuse to start a download of files of these sizes that the disk cannot hold.

    Raises:
        StageError: how much is needed, how much there is, and where.
    """
    parts = {name: part_bytes(directory / name) for name in sizes}
    needed = sum(max(0, size - parts[name]) for name, size in sizes.items())
    with storage_errors(directory):
        free = shutil.disk_usage(directory).free
    if needed > free:
        message = (
            f"spec.baseModel: {needed} bytes are to be fetched to {directory.parent}, where "
            f"{free} are free; give the cache more space (spec.compute.cacheVolumeClaim)"
        )
        raise StageError(FailureClass.HOST_STORAGE_EXCEEDED, message)
