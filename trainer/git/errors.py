"""What a Git server and the client library say when something is wrong, in our words.

No text of theirs is passed on: it may hold a signed address, or what a hook prints.
"""

import ssl
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import urllib3.exceptions
from dulwich.errors import (
    ApplyDeltaError,
    ChecksumMismatch,
    GitProtocolError,
    HangupException,
    ObjectFormatException,
    SendPackError,
)

from trainer.contract.errand import Cause
from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.git.place import Place
from trainer.git.unpack import PackError
from trainer.sources.base import BrokenOffError
from trainer.store.retry_after import retry_after_s

OK = range(200, 300)
REDIRECTS = range(300, 400)
SERVER_ERRORS = range(500, 600)
DENIED = (401, 403)
GONE = (404, 410)
BUSY = (408, 425)
LIMITED = 429

DAMAGED = (
    ApplyDeltaError,
    AssertionError,  # the library's way to say that a packet makes no sense
    ChecksumMismatch,
    KeyError,
    ObjectFormatException,
    PackError,
    SendPackError,
    ValueError,
    zlib.error,
)


class Remark(GitProtocolError):  # noqa: N818 - what the server said, not yet what it means
    """The server itself says that it cannot do what was asked; ``str`` is its word."""


@contextmanager
def git_errors(place: Place) -> Iterator[None]:
    """Turn what goes wrong between here and the server into a failure class."""
    try:
        yield
    except (StageError, Remark):
        raise
    except (urllib3.exceptions.HTTPError, HangupException) as error:
        raise unreachable(place, error) from None
    except DAMAGED as error:
        kind = type(error).__name__
        reason = f"what came cannot be read ({kind}); see what changes it on the way (a proxy)"
        raise BrokenOffError(place.says(reason)) from None
    except GitProtocolError as error:
        raise unreachable(place, error.__cause__ or error) from None


def unreachable(place: Place, error: BaseException) -> StageError:
    """No answer, or not all of it."""
    kind = getattr(error, "reason", None)
    cause = kind if isinstance(kind, Exception) else error
    if is_untrusted(cause):
        reason = (
            "its certificate is not trusted; put the authority's certificate into the Secret "
            f"that {place.field}.secretRef names, with the key ca.crt"
        )
        return place.error(FailureClass.UNAVAILABLE, reason)
    reason = (
        f"cannot be reached, or broke off ({type(cause).__name__}); check the URL, the network "
        f"policy and the proxy of the pod"
    )
    return BrokenOffError(place.says(reason))


def is_untrusted(error: BaseException | None) -> bool:
    """Whether a certificate did not stand up."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        inner = error.args[0] if error.args else None
        error = error.__cause__ or (inner if isinstance(inner, BaseException) else None)
    return False


def refuse_status(place: Place, what: str, status: int, headers: Mapping[str, str]) -> None:
    """Say what an answer other than success means.

    Args:
        place: Whom it was asked of.
        what: What was asked for there.
        status: The answer.
        headers: Of the answer.

    Raises:
        StageError: it is no success.
    """
    if status in OK:
        return
    if status in DENIED:
        raise denied(place, what)
    if status in GONE:
        raise missing(place, what)
    if status == LIMITED:
        raise limited(place, what, headers)
    message = f"answered {status} when it was asked for {what}"
    if status in SERVER_ERRORS or status in BUSY:
        raise BrokenOffError(place.says(f"{message}; try again later"))
    if status in REDIRECTS:
        raise place.error(FailureClass.INVALID_SPEC, f"{message}; give the URL that it leads to")
    raise place.error(FailureClass.INVALID_SPEC, f"{message}; correct the URL")


def denied(place: Place, what: str) -> StageError:
    """Who asks may not."""
    whom = f"to {place.username}" if place.username else "without a login"
    return place.error(FailureClass.ACCESS_DENIED, f"{what} is refused {whom}; {place.remedy}")


def missing(place: Place, what: str) -> StageError:
    """Not there; forges say the same of what the asker may not see."""
    reason = f"there is no {what}, or it is hidden; correct the URL or, when it is private,"
    return place.error(FailureClass.NOT_FOUND, f"{reason} {place.remedy}")


def limited(place: Place, what: str, headers: Mapping[str, str]) -> StageError:
    """Too many requests; the stage ends and is tried again, it does not sleep on a pod."""
    seconds = retry_after_s(headers)
    when = "" if seconds is None else f" for {seconds} s"
    message = place.says(f"takes no more requests{when} (429, for {what}); it is tried again")
    rate, failure = Cause.RATE_LIMITED, FailureClass.UNAVAILABLE
    return StageError(failure, message, cause=rate, retry_after_s=seconds)


def no_server(place: Place) -> StageError:
    """Something answers, but no smart Git server."""
    reason = (
        "there is no smart Git server behind this URL; give the address that git clone takes or, "
        f"when the repository is private, {place.remedy}"
    )
    return place.error(FailureClass.INVALID_SPEC, reason)
