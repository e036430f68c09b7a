"""What the API server's refusals become."""

import pytest

from controller.api.reasons import Reason
from controller.kube.errors import ApiError
from controller.shell.refusals import MAX_WORDS, refusal_of, words

SECRET = "hunter2"  # noqa: S105 - what must not be shown


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(
            ApiError(403, "Forbidden", 'jobs.batch "a" is forbidden: exceeded quota: q'),
            Reason.QUOTA_EXCEEDED,
            id="quota",
        ),
        pytest.param(
            ApiError(403, "Forbidden", 'admission webhook "x" denied the request: no'),
            Reason.ADMISSION_DENIED,
            id="webhook",
        ),
        pytest.param(
            ApiError(422, "Invalid", "ValidatingAdmissionPolicy 'p' denied request: no GPUs"),
            Reason.ADMISSION_DENIED,
            id="policy",
        ),
        pytest.param(
            ApiError(400, "BadRequest", 'admission webhook "x" denied the request: no'),
            Reason.ADMISSION_DENIED,
            id="webhook with its own code",
        ),
        pytest.param(
            ApiError(422, "Invalid", 'Job "a" is invalid: spec.x: Required value'),
            Reason.INVALID_SPEC,
            id="no valid Job",
        ),
        pytest.param(
            ApiError(400, "BadRequest", "Job in version v1 cannot be handled as a Job: quantities"),
            Reason.INVALID_SPEC,
            id="a value that no Job can hold",
        ),
    ],
)
def test_a_refusal_that_speaks_of_the_job_is_an_obstacle(error: ApiError, expected: Reason) -> None:
    found = refusal_of(error, name="a-prepare-1")
    assert found is not None
    assert found.reason is expected
    assert "a-prepare-1" in found.message


@pytest.mark.parametrize("status", [401, 404, 408, 409, 429, 500, 503])
def test_an_answer_that_says_nothing_of_the_job_is_none(status: int) -> None:
    assert refusal_of(ApiError(status, "x", "exceeded quota"), name="a") is None


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(f'env[0].value: Invalid value: "{SECRET}": must not be so', id="quoted"),
        pytest.param(f'x: Invalid value: "a \\"{SECRET}\\" b": no', id="with quotes in it"),
        pytest.param(f'x: Duplicate value: {{"name":"a","value":"{SECRET}"}}', id="an object"),
    ],
)
def test_values_that_the_server_quotes_are_not_repeated(message: str) -> None:
    assert SECRET not in words(message)
    assert "value: (not shown)" in words(message)


def test_words_are_one_line_and_cut() -> None:
    said = words("a\n  b " * 1000)
    assert "\n" not in said
    assert len(said) <= MAX_WORDS + 3
