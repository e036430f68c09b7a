"""What a refusal says."""

import json

import pytest

from controller.kube.answers import refusal
from controller.kube.errors import ApiError
from controller.kube.resources import CORE_EVENTS, EVENTS, JOBS, PODS


def _status(code: int, reason: str, **more: object) -> bytes:
    status = {"kind": "Status", "code": code, "reason": reason, "message": "why", **more}
    return json.dumps(status).encode()


KINDS = {"not_found", "conflict", "already_exists", "forbidden", "gone", "invalid"}


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        pytest.param(404, "NotFound", "not_found", id="not found"),
        pytest.param(409, "Conflict", "conflict", id="someone wrote in between"),
        pytest.param(409, "AlreadyExists", "already_exists", id="the name is taken"),
        pytest.param(403, "Forbidden", "forbidden", id="quota, RBAC or admission"),
        pytest.param(410, "Expired", "gone", id="the version is too old"),
        pytest.param(422, "Invalid", "invalid", id="the object breaks a rule"),
    ],
)
def test_each_refusal_is_exactly_one_kind(code: int, reason: str, kind: str) -> None:
    error = refusal("GET /x", code, _status(code, reason))
    assert {k for k in KINDS if getattr(error, f"is_{k}")} == {kind}
    assert str(error) == f"GET /x: {code} {reason}: why"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<html><h1>502 Bad Gateway, token=s3cret</h1></html>", id="a proxy's page"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xfe\x00", id="no text at all"),
        pytest.param(b'{"kind":"Pod","message":"s3cret"}', id="JSON of another kind"),
        pytest.param(b'{"kind":"Status","code":"s3cret"}', id="a Status of wrong types"),
        pytest.param(b"[1,2]", id="a JSON list"),
    ],
)
def test_a_body_that_is_no_status_is_told_by_its_code_and_never_repeated(body: bytes) -> None:
    error = refusal("GET /x", 502, body)
    assert (error.status, error.reason) == (502, "BadGateway")
    assert "s3cret" not in str(error)
    assert "proxy" in error.message


@pytest.mark.parametrize(
    ("header", "details", "expected"),
    [
        pytest.param("7", None, 7.0, id="the header"),
        pytest.param(None, {"retryAfterSeconds": 3}, 3.0, id="the Status"),
        pytest.param("7", {"retryAfterSeconds": 3}, 7.0, id="the header wins"),
        pytest.param("Wed, 21 Oct 2026 07:28:00 GMT", None, None, id="a date is not read"),
        pytest.param("-1", None, None, id="nonsense"),
        pytest.param(None, None, None, id="nothing"),
    ],
)
def test_how_long_the_server_wants_to_be_left_alone(
    header: str | None, details: dict[str, int] | None, expected: float | None
) -> None:
    error = refusal("GET /x", 429, _status(429, "TooManyRequests", details=details), header)
    assert error.retry_after_s == expected


def test_an_error_can_be_made_of_a_status_alone() -> None:
    assert str(ApiError(404)) == "404"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param(PODS.path(), "/api/v1/pods", id="all namespaces"),
        pytest.param(PODS.path("a", "b"), "/api/v1/namespaces/a/pods/b", id="core"),
        pytest.param(JOBS.path("a"), "/apis/batch/v1/namespaces/a/jobs", id="group"),
        pytest.param(
            JOBS.path("a", "b", "status"),
            "/apis/batch/v1/namespaces/a/jobs/b/status",
            id="subresource",
        ),
        pytest.param(EVENTS.path(None, "x"), "/apis/events.k8s.io/v1/events/x", id="cluster-wide"),
        pytest.param(CORE_EVENTS.api_version, "v1", id="api version of the core group"),
        pytest.param(JOBS.api_version, "batch/v1", id="api version of a group"),
    ],
)
def test_where_a_kind_lives(path: str, expected: str) -> None:
    assert path == expected
