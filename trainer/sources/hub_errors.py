"""What a Hub and its client library say when something is wrong, in our words.

No message of theirs is passed on: it may hold a signed address, or a header with a token.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import httpx2
from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined] # lazy

from trainer.contract.errand import Cause
from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.sources.base import BrokenOffError
from trainer.store.retry_after import bounded, retry_after_s

FIELD = "spec.baseModel.huggingFace"
ACCESS = f"use a token that may read it, in a Secret with the key token, named by {FIELD}.secretRef"
SERVER_ERRORS = range(500, 600)


def refuse_offline(endpoint: str, place: str) -> None:
    """Say at once that nothing will be asked.

    Raises:
        StageError: the environment forbids it.
    """
    if constants.HF_HUB_OFFLINE:
        raise offline(endpoint, place)


@contextmanager
def hub_errors(endpoint: str, place: str) -> Iterator[None]:
    """Turn what goes wrong between here and the Hub into a failure class.

    Args:
        endpoint: The Hub.
        place: What was asked for there, for messages.
    """
    try:
        yield
    except OfflineModeIsEnabled:
        raise offline(endpoint, place) from None
    except HFValidationError:
        message = f"{FIELD}.repo: {place}: this is no repository's name; give owner/name"
        raise StageError(FailureClass.INVALID_SPEC, message) from None
    except HfHubHTTPError as error:
        raise answered(endpoint, place, error) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        raise unreachable(endpoint, place, error) from None
    except (KeyError, TypeError, ValueError):
        message = (
            f"{FIELD}: {endpoint} did not answer as a Hub does when it was asked for {place}; "
            f"correct HF_ENDPOINT"
        )
        raise StageError(FailureClass.UNAVAILABLE, message) from None


def offline(endpoint: str, place: str) -> StageError:
    """Nothing may be asked."""
    message = (
        f"{FIELD}: {place} is not in the cache as this run needs it, and HF_HUB_OFFLINE forbids "
        f"to ask {endpoint}; unset it, or use spec.baseModel.directory"
    )
    return StageError(FailureClass.UNAVAILABLE, message)


def unreachable(endpoint: str, place: str, error: Exception) -> BrokenOffError:
    """No answer, or not all of it."""
    kind = type(error).__name__
    message = (
        f"{FIELD}: {endpoint} cannot be reached for {place} ({kind}); check HF_ENDPOINT, the "
        f"network policy and the proxy of the pod"
    )
    return BrokenOffError(message)


def answered(endpoint: str, place: str, error: HfHubHTTPError) -> StageError:
    """A refusal, by what the library made of it or else by its status."""
    for kind, say in KINDS:
        if isinstance(error, kind):
            return say(endpoint, place, error)
    status = error.response.status_code
    return STATUSES.get(status, failing)(endpoint, place, error)


def gated(endpoint: str, place: str, _error: HfHubHTTPError) -> StageError:
    """Its terms were not accepted by who asks."""
    message = f"{FIELD}: {place} is gated; accept its terms on {endpoint}, and {ACCESS}"
    return StageError(FailureClass.ACCESS_DENIED, message)


def no_revision(endpoint: str, place: str, _error: HfHubHTTPError) -> StageError:
    """The repository is there."""
    message = f"{FIELD}: {endpoint} has no {place}; correct the branch or the revision"
    return StageError(FailureClass.NOT_FOUND, message)


def no_repository(endpoint: str, place: str, error: HfHubHTTPError) -> StageError:
    """Not there; a Hub says the same of what the asker may not see."""
    if "X-Error-Code" not in error.response.headers:  # the library takes every 401 for this
        return denied(endpoint, place, error)
    message = (
        f"{FIELD}: {endpoint} has no {place}, or hides it; correct the repository's name or, when "
        f"it is private, {ACCESS}"
    )
    return StageError(FailureClass.NOT_FOUND, message)


def no_file(endpoint: str, place: str, _error: HfHubHTTPError) -> StageError:
    """It was listed a moment ago, or the address is no Hub's."""
    message = f"{FIELD}: {endpoint} has no {place}; correct the repository's name or HF_ENDPOINT"
    return StageError(FailureClass.NOT_FOUND, message)


def denied(endpoint: str, place: str, _error: HfHubHTTPError) -> StageError:
    """Who asks may not see it."""
    message = f"{FIELD}: {endpoint} refuses access to {place}; {ACCESS}"
    return StageError(FailureClass.ACCESS_DENIED, message)


def limited(endpoint: str, place: str, error: HfHubHTTPError) -> StageError:
    """Too many requests; the stage ends and is tried again, it does not sleep on a pod."""
    seconds = reset_s(error.response.headers)
    when = f" for {seconds} s" if seconds is not None else ""
    message = (
        f"{FIELD}: {endpoint} takes no more requests{when} (429, for {place}); it is tried again; "
        f"a token in {FIELD}.secretRef has a larger allowance"
    )
    return StageError(
        FailureClass.UNAVAILABLE, message, cause=Cause.RATE_LIMITED, retry_after_s=seconds
    )


def reset_s(headers: Mapping[str, str]) -> int | None:
    """In how many seconds it takes requests again: its own header, else the standard's."""
    known = parse_ratelimit_headers(headers)
    return bounded(known.reset_in_seconds) if known else retry_after_s(headers)


def failing(endpoint: str, place: str, error: HfHubHTTPError) -> StageError:
    """The Hub's own trouble, or something that nobody foresaw."""
    status = error.response.status_code
    message = f"{FIELD}: {endpoint} answered {status} when it was asked for {place}"
    if status in SERVER_ERRORS:
        return BrokenOffError(f"{message}; try again later")
    return StageError(FailureClass.UNAVAILABLE, f"{message}; see that HF_ENDPOINT is a Hub")


Say = Callable[[str, str, HfHubHTTPError], StageError]

KINDS: tuple[tuple[type[Exception], Say], ...] = (
    (GatedRepoError, gated),  # before the kind that it is one of
    (RevisionNotFoundError, no_revision),
    (RepositoryNotFoundError, no_repository),
    (EntryNotFoundError, no_file),
)
STATUSES: dict[int, Say] = {401: denied, 403: denied, 404: no_file, 429: limited}
