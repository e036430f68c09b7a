"""A request of any size reaches the stage through the environment as it was written."""

import pytest
from builders.requests import a_request, a_spec

from trainer.contract.failures import FailureClass
from trainer.contract.request import (
    MAX_ENV_BYTES,
    REQUEST_ENV,
    joined_request,
    request_environment,
)
from trainer.errors import StageError
from trainer.stage import read_request

TEXTS = [
    pytest.param("", 1, id="small"),
    pytest.param("x" * 16384, 1, id="a long text"),
    pytest.param("ü" * 16384, 1, id="two bytes a character"),
    pytest.param("$(HOME) $$ \\$ ${x}", 1, id="what Kubernetes would expand"),
]


def asking(tmp_path, text):
    data = {"train": {"uri": f"file://{tmp_path}/train.jsonl"}, "instruction": text}
    return a_request(tmp_path, spec=a_spec(tmp_path, dataset=data))


@pytest.mark.parametrize(("text", "parts"), TEXTS)
def test_a_request_is_read_as_it_was_written(tmp_path, text, parts):
    request = asking(tmp_path, text)
    environment = request_environment(request)
    assert len(environment) == parts
    assert not any("$" in value for value in environment.values())
    assert read_request(environment) == request


def test_a_large_request_goes_on_in_further_variables(tmp_path):
    storage = {"caBundle": "größe\n" * 9000}
    spec = a_spec(tmp_path, output={"uri": f"file://{tmp_path}/output", "storage": storage})
    spec["dataset"]["storage"] = storage
    request = a_request(tmp_path, spec=spec)
    environment = request_environment(request)
    assert list(environment) == [REQUEST_ENV, f"{REQUEST_ENV}_1"]
    assert all(len(value.encode()) <= MAX_ENV_BYTES for value in environment.values())
    assert read_request(environment) == request


def test_without_a_request_there_is_nothing_to_join():
    assert joined_request({}) == ""
    with pytest.raises(StageError, match="is not set") as caught:
        read_request({f"{REQUEST_ENV}_1": "x"})
    assert caught.value.failure is FailureClass.INVALID_SPEC
