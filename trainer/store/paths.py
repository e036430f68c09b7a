"""Where ``file://`` URIs and directory sources may point: below one root, links resolved."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from trainer.contract.failures import FailureClass
from trainer.errors import StageError

FULL = {errno.ENOSPC, errno.EDQUOT}
REFUSED = {
    errno.EACCES,
    errno.EEXIST,  # a file where a directory has to be
    errno.EISDIR,
    errno.ELOOP,
    errno.ENOENT,  # no directory can be made there: /proc
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


def file_path(uri: str, *, file_root: Path, field: str) -> Path:
    """The path of a ``file://`` URI, checked as ``below`` does."""
    return below(Path(unquote(uri.removeprefix("file://"))), file_root=file_root, field=field)


def below(path: Path, *, file_root: Path, field: str) -> Path:
    """The path with every link resolved.

    Raises:
        StageError: it leaves ``file_root``, by itself or through a symbolic link.
    """
    resolved = path.resolve()
    if resolved.is_relative_to(file_root.resolve()):
        return resolved
    through = " (through a symbolic link)" if path.absolute() != resolved else ""
    message = (
        f"{field}: {path} leads outside {file_root}{through}; files are only read and written "
        f"below that directory: put it there"
    )
    raise StageError(FailureClass.ACCESS_DENIED, message)


@contextmanager
def storage_errors(place: Path) -> Iterator[None]:
    """Turn what the operating system says about ``place`` into a failure class."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, place) from error


def storage_error(error: OSError, place: Path) -> StageError:
    """The failure class, place and remedy of an error of the file system."""
    if error.errno in FULL:
        message = f"{place}: no space left on the device; free or add disk space, then run it again"
        return StageError(FailureClass.HOST_STORAGE_EXCEEDED, message)
    reason = (error.strerror or str(error)).lower()
    if error.errno in REFUSED:
        message = f"{place}: {reason}; let this user write there, or choose another place"
        return StageError(FailureClass.ACCESS_DENIED, message)
    return StageError(FailureClass.UNAVAILABLE, f"{place}: {reason}")
