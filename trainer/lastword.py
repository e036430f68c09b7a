"""The two ends that stages and errands share: the request from the environment, the last word.

The last word is two lines: an outcome that always fits, and details that may be dropped.
"""

import errno
import os
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import ValidationError

from trainer.contract import request as contract
from trainer.contract.base import CONTRACT_VERSION
from trainer.contract.errand import ErrandOutcome, ErrandRequest
from trainer.contract.failures import FailureClass
from trainer.contract.outcome import MAX_MESSAGE_BYTES, MAX_OUTCOME_BYTES, Outcome
from trainer.contract.request import StageRequest
from trainer.errors import StageError
from trainer.store.secrets import AMBIENT, SecretFiles

MAX_TEXT = 400
FULL_DISK = {errno.ENOSPC, errno.EDQUOT}

Request = TypeVar("Request", StageRequest, ErrandRequest)


class Details(Protocol):
    """What the second line is made of."""

    def model_dump_json(self, *, exclude_defaults: bool) -> str:
        """One line of JSON."""


def parse_request(environ: Mapping[str, str], kind: type[Request]) -> Request:
    """The request in the environment.

    Raises:
        StageError: it is missing, malformed or of another contract version.
    """
    text = contract.joined_request(environ)
    if not text:
        message = f"{contract.REQUEST_ENV} is not set; stages are started by the controller"
        raise StageError(FailureClass.INVALID_SPEC, message)
    try:
        request = kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = f"{contract.REQUEST_ENV}: {place}: {first['msg']}"
        raise StageError(FailureClass.INVALID_SPEC, message) from None
    if request.version != CONTRACT_VERSION:
        message = (
            f"{contract.REQUEST_ENV}: contract version {request.version}, this image speaks "
            f"{CONTRACT_VERSION}; use the trainer image of the controller's release"
        )
        raise StageError(FailureClass.INVALID_SPEC, message)
    return request


def secret_files(environ: Mapping[str, str]) -> SecretFiles:
    """Where Secrets are mounted, when the environment says."""
    root = environ.get(contract.SECRETS_ENV, "")
    return SecretFiles(Path(root)) if root else AMBIENT


def storage_error(error: OSError, somewhere: str) -> StageError:
    """A failed read or write that nobody expected, at ``somewhere`` if the error does not say."""
    place = error.filename or somewhere
    if error.errno in FULL_DISK:
        message = f"{place}: no space left; free or add disk space, then run it again"
        return StageError(FailureClass.HOST_STORAGE_EXCEEDED, message)
    if isinstance(error, PermissionError):
        message = f"{place}: permission denied; give this user the right, or choose another place"
        return StageError(FailureClass.ACCESS_DENIED, message)
    return StageError(FailureClass.UNAVAILABLE, f"{place}: {error.strerror or error}")


def write_lines(path: Path, outcome: Outcome | ErrandOutcome, details: Iterable[Details]) -> None:
    """Put the outcome, and the first of the details that there is room for, where they are read."""
    first = first_line(outcome)
    room = MAX_MESSAGE_BYTES - len(first.encode()) - 2
    lines = (each.model_dump_json(exclude_defaults=True) for each in details)
    second = next((line for line in lines if len(line.encode()) <= room), None)
    path.write_text(first + "\n" + (f"{second}\n" if second else ""), encoding="utf-8")


def first_line(outcome: Outcome | ErrandOutcome) -> str:
    """The outcome in at most ``MAX_OUTCOME_BYTES``; its message gives way, whatever it is in."""

    def with_message(length: int) -> str:
        kept = outcome.model_copy(update={"message": outcome.message[:length]})
        return kept.model_dump_json(exclude_defaults=True)

    lengths = range(1, len(outcome.message) + 1)
    # JSON writes some characters with six; so the size is looked at, not reckoned.
    fitting = bisect_right(lengths, MAX_OUTCOME_BYTES, key=lambda n: len(with_message(n).encode()))
    return with_message(fitting)


def outcome_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the last word goes."""
    return Path(environ.get(contract.OUTCOME_ENV, contract.DEFAULT_OUTCOME))
