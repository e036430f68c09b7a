"""What the API server says when it will not have a Job, as something that people can read.

Pure. A refusal that can heal without us (a quota, a policy, a name that is taken) is an obstacle
and shows in the status; anything else is an error of this reconcile.
"""

import re
from http import HTTPStatus

from controller.api.reasons import Reason
from controller.core.children import Obstacle
from controller.core.failures import hindrance
from controller.kube.errors import ApiError

MAX_WORDS = 600

NOT_OBSTACLES = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
"""Answers that say nothing about the object; the request is simply made again later."""

_SHOWN_VALUE = re.compile(r'(\bvalue: )(?:"(?:[^"\\]|\\.)*"|\{.*?\}(?=: |$))')

_DENIED = re.compile(r"\bdenied\b|admission webhook", re.IGNORECASE)
"""Words of webhooks and admission policies, which may refuse with 422 too."""


def refusal_of(error: ApiError, *, name: str) -> Obstacle | None:
    """Why the Job was not created; None when the answer is no verdict on it."""
    is_ours_to_show = (
        HTTPStatus.BAD_REQUEST <= error.status < HTTPStatus.INTERNAL_SERVER_ERROR
        and error.status not in NOT_OBSTACLES
    )
    if not is_ours_to_show:
        return None
    said = words(error.message)
    if error.is_forbidden and "exceeded quota" in error.message:
        return hindrance(Reason.QUOTA_EXCEEDED, f"Job {name}: {said}")
    if is_unfit(error) and not _DENIED.search(error.message):
        text = f"Job {name} cannot be made from this spec: {said}"
        return hindrance(Reason.INVALID_SPEC, text, "change spec.compute")
    return hindrance(Reason.ADMISSION_DENIED, f"Job {name}: {said}")


def is_unfit(error: ApiError) -> bool:
    """Whether the Job itself is wrong: a broken rule, or a value that cannot even be read."""
    return error.is_invalid or error.status == HTTPStatus.BAD_REQUEST


def name_conflict(name: str) -> Obstacle:
    """Somebody else's Job has the name of a child of ours."""
    return hindrance(Reason.NAME_CONFLICT, f"Job {name} exists and does not belong to this object")


def being_deleted(name: str) -> Obstacle:
    """The Job of this very attempt is on its way out."""
    return hindrance(Reason.STOPPING, f"Job {name} is being deleted; it starts again after that")


def not_ended(name: str) -> Obstacle:
    """Another Job of the object is there, and this process has not seen it yet."""
    return hindrance(Reason.STOPPING, f"Job {name} has not ended; the next attempt starts after it")


def still_ending(pod: str, attempt: str, node: str) -> Obstacle:
    """A pod of an earlier attempt is alive, or nobody knows that it is dead."""
    return hindrance(
        Reason.STOPPING,
        f"pod {pod} of attempt {attempt} has not ended on node {node or '(none)'}; the next attempt"
        " starts when it has",
    )


def words(message: str) -> str:
    """The server's words, one line, cut, and without the values that they quote."""
    hidden = _SHOWN_VALUE.sub(r"\1(not shown)", " ".join(message.split()))
    return hidden if len(hidden) <= MAX_WORDS else f"{hidden[:MAX_WORDS]}..."
