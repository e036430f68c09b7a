"""The one place that turns an output or data URI into a store."""

from pathlib import Path

from trainer.contract.failures import FailureClass
from trainer.contract.source import Storage
from trainer.errors import StageError
from trainer.store.base import Store
from trainer.store.file import FileStore
from trainer.store.paths import file_path


def open_store(
    uri: str, storage: Storage, *, file_root: Path, field: str = "spec.output.uri"
) -> Store:
    """The store below ``uri``; opening it touches nothing.

    Raises:
        StageError: the scheme has no store yet, or the place is outside ``file_root``.
    """
    del storage  # credentials and endpoint belong to object stores
    if not uri.startswith("file://"):
        message = f"{field}: {uri}: s3:// is not supported yet; use a file:// URI"
        raise StageError(FailureClass.INVALID_SPEC, message)
    return FileStore(file_path(uri.rstrip("/"), file_root=file_root, field=field))
