"""The one place that turns an output or data URI into a store."""

from pathlib import Path

from trainer.contract.source import Storage
from trainer.store.base import Store
from trainer.store.file import FileStore
from trainer.store.paths import file_path
from trainer.store.secrets import AMBIENT, Role, SecretFiles


def open_store(
    uri: str,
    storage: Storage,
    *,
    file_root: Path,
    secrets: SecretFiles = AMBIENT,
    role: Role = "output",
    field: str = "spec.output.uri",
) -> Store:
    """The store below ``uri``; opening it touches nothing outside this machine.

    Args:
        uri: ``file://`` or ``s3://``; a trailing slash means nothing.
        storage: How to reach an object store.
        file_root: The directory that ``file://`` may not leave.
        secrets: Where the role's credentials are.
        role: Whose credentials to use.
        field: What names ``uri`` in the spec, for messages.

    Raises:
        StageError: the place is outside ``file_root``, or what ``storage`` says is missing or
            wrong: SECRET_NOT_FOUND, ACCESS_DENIED, INVALID_SPEC.
    """
    if uri.startswith("file://"):
        return FileStore(file_path(uri.rstrip("/"), file_root=file_root, field=field))
    from trainer.store.s3 import open_s3  # noqa: PLC0415 - botocore takes half a second

    return open_s3(uri, storage, secrets=secrets, role=role, field=field)
