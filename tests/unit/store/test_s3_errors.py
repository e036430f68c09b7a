"""What a service's errors become: a class, the place, the field to change, and no raw text."""

import subprocess
import sys

import pytest
from botocore.exceptions import ClientError

from trainer.contract.errand import Cause
from trainer.contract.failures import FailureClass
from trainer.contract.source import Storage
from trainer.store.s3errors import stage_error
from trainer.store.s3place import Place

PLACE = Place("s3://acme/out", "spec.output.uri", "output", Storage(), "s3.acme.dev", "Secret out")


def answered(code: str, status: int, **error: str) -> ClientError:
    headers = {"x-amz-bucket-region": error.pop("header", "")}
    return ClientError(
        {
            "Error": {"Code": code, "Message": "RAW", **error},
            "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
        },
        "GetObject",
    )


TABLE = [
    (answered("NoSuchBucket", 404), "NotFound", "there is no bucket acme at s3.acme.dev"),
    (answered("InvalidAccessKeyId", 403), "AccessDenied", "access key of Secret out"),
    (answered("SignatureDoesNotMatch", 403), "AccessDenied", "AWS_SECRET_ACCESS_KEY"),
    (answered("ExpiredToken", 400), "AccessDenied", "session of Secret out has expired"),
    (answered("AccessDenied", 403), "AccessDenied", "may not do GetObject in bucket acme"),
    (answered("RequestTimeTooSkewed", 403), "AccessDenied", "set the clock"),
    (answered("PermanentRedirect", 301), "InvalidSpec", "set spec.output.storage.region"),
    (answered("301", 301, header="eu-west-1"), "InvalidSpec", "is in eu-west-1"),
    (
        answered("AuthorizationHeaderMalformed", 400, Region="eu-central-1"),
        "InvalidSpec",
        "is in eu-central-1",
    ),
    (answered("404", 404), "InvalidSpec", "not as an S3 service; correct spec.output.storage"),
    (answered("MethodNotAllowed", 405), "InvalidSpec", "answers, but not"),
    (answered("SlowDown", 503), "Unavailable", "SlowDown (503)"),
    (answered("InternalError", 500), "Unavailable", "InternalError (500)"),
    (answered("InternalError", 200), "Unavailable", "(200)"),
    (answered("Whatever", 429), "Unavailable", "overloaded"),
    (answered("QuotaExceeded", 403), "HostStorageExceeded", "quota"),
    (answered("<script>", 418), "InvalidSpec", "an unknown code (418)"),
]


@pytest.mark.parametrize(("error", "failure", "said"), TABLE, ids=[row[2] for row in TABLE])
def test_an_answer_becomes_its_class_and_remedy(error, failure, said):
    told = stage_error(error, PLACE)
    assert told.failure is FailureClass(failure)
    assert told.message.startswith("spec.output.uri: s3://acme/out: ")
    assert said in told.message
    assert "RAW" not in told.message
    assert "script" not in told.message
    assert len(told.message) <= 400


def test_outside_a_spec_the_environment_is_what_to_change():
    place = Place("s3://acme/out", "report", "output", Storage(), "s3.acme.dev")
    assert "set AWS_REGION" in stage_error(answered("PermanentRedirect", 301), place).message


def test_a_long_uri_leaves_room_for_the_remedy():
    place = Place("s3://acme/" + "x" * 1000, "spec.output.uri", "output", Storage(), "h")
    assert len(stage_error(answered("AccessDenied", 403), place).message) <= 400


def test_a_file_store_costs_no_import_of_botocore():
    code = "import sys, trainer.store.open; sys.exit('botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603


LIMITS = [
    pytest.param("SlowDown", 503, Cause.RATE_LIMITED, 55, id="S3's own word"),
    pytest.param("429", 429, Cause.RATE_LIMITED, 55, id="the status alone"),
    pytest.param("InternalError", 500, None, None, id="an outage is no limit"),
    pytest.param("AccessDenied", 403, None, None, id="nor is a refusal"),
]


@pytest.mark.parametrize(("code", "status", "cause", "wait_s"), LIMITS)
def test_too_many_requests_is_a_cause_with_the_time_of_the_next_try(code, status, cause, wait_s):
    error = answered(code, status)
    error.response["ResponseMetadata"]["HTTPHeaders"] = {"retry-after": "55"}
    told = stage_error(error, PLACE)
    assert (told.cause, told.retry_after_s) == (cause, wait_s)
