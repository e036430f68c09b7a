"""What an object store's errors mean: a failure class, the place and what to do.

A service's own messages are never repeated: they hold signatures, key ids and whole pages.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from s3transfer.exceptions import RetriesExceededError

from trainer.contract.errand import Cause
from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.store.retry_after import retry_after_s
from trainer.store.s3place import Place

DENIED, INVALID = FailureClass.ACCESS_DENIED, FailureClass.INVALID_SPEC

NOT_S3 = "{host} answers, but not as an S3 service; correct {endpoint}"
REGION = "{host} says that bucket {bucket} is in {actual}; set {region} to its region"
STALE = "the session of {identity} has expired; put new keys there"

REASONS: dict[str, tuple[FailureClass, str]] = {
    "NoSuchBucket": (
        FailureClass.NOT_FOUND,
        "there is no bucket {bucket} at {host}; create it, or correct the URI or {endpoint}",
    ),
    "InvalidAccessKeyId": (
        DENIED,
        "{host} does not know the access key of {identity}; correct AWS_ACCESS_KEY_ID there",
    ),
    "SignatureDoesNotMatch": (
        DENIED,
        "{host} refuses the signature of {identity}; correct AWS_SECRET_ACCESS_KEY there",
    ),
    "ExpiredToken": (DENIED, STALE),
    "TokenRefreshRequired": (DENIED, STALE),
    "InvalidToken": (DENIED, "{host} refuses AWS_SESSION_TOKEN of {identity}; correct it there"),
    "RequestTimeTooSkewed": (DENIED, "{host} and this machine have different times; set the clock"),
    "PermanentRedirect": (INVALID, REGION),
    "TemporaryRedirect": (INVALID, REGION),
    "AuthorizationHeaderMalformed": (INVALID, REGION),
    "IllegalLocationConstraintException": (INVALID, REGION),
    "InvalidBucketName": (INVALID, "{bucket} is not a bucket name; correct the URI"),
    "KeyTooLongError": (INVALID, "a key would be longer than S3 allows; choose a shorter URI"),
    "QuotaExceeded": (
        FailureClass.HOST_STORAGE_EXCEEDED,
        "{host} says that the bucket's quota is used up; raise it, or remove what is not needed",
    ),
    "XMinioStorageFull": (
        FailureClass.HOST_STORAGE_EXCEEDED,
        "{host} is full; free or add space there, then run it again",
    ),
}
STATUSES: dict[int, tuple[FailureClass, str]] = {
    301: (INVALID, REGION),
    307: (INVALID, REGION),
    401: (DENIED, "{host} asks for other credentials than {identity} has; correct {secret}"),
    403: (
        DENIED,
        (
            "{identity} may not do {operation} in bucket {bucket} at {host}; allow it "
            "s3:GetObject, s3:ListBucket and, for an output, s3:PutObject and s3:DeleteObject"
        ),
    ),
    404: (INVALID, NOT_S3),
    405: (INVALID, NOT_S3),
    408: (FailureClass.UNAVAILABLE, "{host} waited too long for {operation}; try again later"),
    412: (FailureClass.UNAVAILABLE, "an object changed while it was read; run it again"),
    429: (FailureClass.UNAVAILABLE, "{host} is overloaded (429); try again later"),
    507: (
        FailureClass.HOST_STORAGE_EXCEEDED,
        "{host} is full; free or add space there, then run it again",
    ),
}
TOO_MANY_REQUESTS = 429
LIMITED = {"RequestLimitExceeded", "SlowDown", "Throttling", "TooManyRequests"}
OUTAGE = "{host} answers {operation} with {code} ({status}) again and again; try again later"
REFUSED = "{host} refuses {operation} with {code} ({status}); correct the URI or {endpoint}"

NO_CREDENTIALS = (
    "there are no credentials: set {secret}, or give the environment some (a service account with "
    "workload identity; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in a local run)"
)
SILENT = "{host} does not answer ({kind}); see that it runs and that {endpoint} is right{style}"
UNTRUSTED = (
    "the certificate of {host} is not trusted; put its CA into {ca}, or ca.crt of the Secret"
)

PLAIN = "{host} does not speak TLS as https:// needs; correct {endpoint} (http://?)"

CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.UnauthorizedSSOTokenError,
)


@contextmanager
def s3_errors(place: Place) -> Iterator[None]:
    """Turn what botocore raises about ``place`` into a failure class."""
    try:
        yield
    except RetriesExceededError as error:
        raise stage_error(error.last_exception, place) from error
    except (boto.ClientError, boto.BotoCoreError, ResponseParserError) as error:
        raise stage_error(error, place) from error


def stage_error(error: Exception, place: Place) -> StageError:
    """The failure class, place and remedy of an error."""
    if isinstance(error, boto.ClientError):
        return _answered(error, place)
    if isinstance(error, CREDENTIALS):
        return place.error(DENIED, _told(NO_CREDENTIALS, place))
    if isinstance(error, boto.SSLError):
        is_untrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)
        return place.error(
            FailureClass.UNAVAILABLE, _told(UNTRUSTED if is_untrusted else PLAIN, place)
        )
    if isinstance(error, ResponseParserError):
        return place.error(INVALID, _told(NOT_S3, place))
    if isinstance(error, boto.ParamValidationError):
        return place.error(INVALID, "is not a bucket and a key that S3 allows; correct the URI")
    return place.error(FailureClass.UNAVAILABLE, _told(SILENT, place, kind=type(error).__name__))


def code_of(error: boto.ClientError) -> str:
    """The service's code, or the status when the answer had no body; never anything longer."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    return code if re.fullmatch(r"[A-Za-z0-9.]{1,64}", code) else "an unknown code"


def status_of(error: boto.ClientError) -> int:
    """The HTTP status; 0: none."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status if isinstance(status, int) else 0


def _answered(error: boto.ClientError, place: Place) -> StageError:
    code, status = code_of(error), status_of(error)
    known = REASONS.get(code) or STATUSES.get(status)
    if known is None:
        is_outage = status >= 500 or status < 400  # noqa: PLR2004 - or an error in a 200
        known = (FailureClass.UNAVAILABLE, OUTAGE) if is_outage else (INVALID, REFUSED)
    failure, reason = known
    words = {
        "code": code,
        "status": status,
        "operation": error.operation_name,
        "actual": _actual_region(error),
    }
    told = _told(reason, place, **words)
    if not (status == TOO_MANY_REQUESTS or code in LIMITED):
        return place.error(failure, told)
    wait_s = retry_after_s(headers_of(error))
    return place.error(failure, told, cause=Cause.RATE_LIMITED, retry_after_s=wait_s)


def headers_of(error: boto.ClientError) -> dict[str, str]:
    """Those of the answer."""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return {str(name): str(value) for name, value in headers.items()}


def _actual_region(error: boto.ClientError) -> str:
    headers = headers_of(error)
    told = str(error.response.get("Error", {}).get("Region", "") or headers.get(REGION_HEADER, ""))
    return told if re.fullmatch(r"[a-z0-9-]{1,32}", told) else "another region"


REGION_HEADER = "x-amz-bucket-region"


def _told(reason: str, place: Place, **words: Any) -> str:  # noqa: ANN401 - what is formatted
    is_virtual = place.storage.endpoint is not None and not place.storage.path_style
    return reason.format(
        bucket=place.bucket,
        host=place.host,
        identity=place.identity,
        endpoint=place.setting("endpoint"),
        region=place.setting("region"),
        ca=place.setting("caBundle"),
        secret=place.setting("secretRef"),
        style=", or set pathStyle: true there" if is_virtual else "",
        **words,
    )
