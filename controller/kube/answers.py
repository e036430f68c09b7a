"""Reads what an API server answers with when it says no."""

from http import HTTPStatus

import msgspec
from msgspec import Struct, field

from controller.kube.errors import ApiError


class Details(Struct, rename="camel"):
    """Of a Status."""

    retry_after_seconds: int = 0


class Status(Struct, rename="camel"):
    """``kind: Status``, the body of every refusal of an API server."""

    kind: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0
    details: Details | None = field(default_factory=Details)


def refusal(
    request: str, http_status: int, body: bytes, retry_after: str | None = None
) -> ApiError:
    """The error for an answer. A body that is no Status (a proxy's page) is never repeated."""
    status = read_status(body)
    if status is None:
        message = "the answer holds no Status object; is there a proxy before the API server?"
        return ApiError(
            http_status, _phrase(http_status), message, _seconds(retry_after), request=request
        )
    asked = _seconds(retry_after)
    return error_of(status, request=request, http_status=http_status, retry_after_s=asked)


def error_of(
    status: Status, *, request: str, http_status: int = 0, retry_after_s: float | None = None
) -> ApiError:
    """The error for a Status, from an answer or from an ERROR event."""
    if retry_after_s is None and status.details and status.details.retry_after_seconds > 0:
        retry_after_s = float(status.details.retry_after_seconds)
    code = http_status or status.code
    return ApiError(code, status.reason, status.message, retry_after_s, request=request)


def read_status(body: bytes) -> Status | None:
    """The Status in a body, if it is one."""
    try:
        status = msgspec.json.decode(body, type=Status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return status if status.kind == "Status" else None


def _phrase(http_status: int) -> str:
    try:
        return HTTPStatus(http_status).phrase.replace(" ", "")
    except ValueError:
        return ""


def _seconds(retry_after: str | None) -> float | None:
    """Of the header in its form of seconds, the only one that API servers send."""
    if retry_after is None or not (retry_after.isascii() and retry_after.isdigit()):
        return None
    return float(retry_after[:9])
