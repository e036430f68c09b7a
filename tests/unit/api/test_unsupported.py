"""What this release refuses by name."""

import pytest
from builders.api import a_job_spec

from controller.api.crd import FINE_TUNE_JOB, object_schema
from controller.api.structural import walk
from controller.api.unsupported import REFUSALS, unsupported

DATA = {"train": {"uri": "file:///data/train.jsonl"}}
S3 = {"uri": "s3://acme/data"}

ASKED = [
    ({"method": "DPO"}, "spec.method"),
    ({"dataset": DATA | {"format": "Preference"}}, "spec.dataset.format"),
    ({"dataset": DATA | {"format": "Text"}}, "spec.dataset.format"),
    ({"quantization": "NF4"}, "spec.quantization"),
    ({"retrain": {"warmStart": "Adapter"}}, "spec.retrain.warmStart"),
    ({"compute": {"nodes": 2}}, "spec.compute.nodes"),
]


@pytest.mark.parametrize(("sections", "field"), ASKED, ids=[str(sections) for sections, _ in ASKED])
def test_a_field_of_a_later_release_is_refused_by_name(sections, field):
    [told] = unsupported(a_job_spec(**sections))
    assert told.startswith(f"{field}: ")
    assert "not supported in this release; " in told


def test_every_row_of_the_table_is_tried_here():
    assert {row.path for row in REFUSALS} == {field.removeprefix("spec.") for _, field in ASKED}


PASSING = [
    pytest.param({"compute": {"nodes": 1}, "budget": {"pricePerGpuHour": "2.50"}}, id="defaults"),
    pytest.param({"output": {"uri": "file:///o", "merged": True}}, id="a merged model"),
    pytest.param({"dataset": {"train": S3, "test": S3}, "output": S3}, id="an object store"),
    pytest.param({"baseModel": {"s3": S3}}, id="a model in an object store"),
    pytest.param(
        {"evaluation": {"metric": "Grader", "grader": {"command": ["grade"]}}}, id="a grader"
    ),
    pytest.param({"baseModel": {"git": {"url": "https://acme.dev/m"}}}, id="a model in Git"),
    pytest.param({"baseModel": {"huggingFace": {"repo": "a/b"}}}, id="a model of the Hub"),
]


@pytest.mark.parametrize("sections", PASSING)
def test_a_spec_that_asks_for_nothing_of_the_kind_passes(sections):
    assert unsupported(a_job_spec(**sections)) == []


def test_every_refused_field_is_in_the_schema():
    fields = {path for path, _ in walk(object_schema(FINE_TUNE_JOB)["properties"]["spec"])}
    assert {row.path for row in REFUSALS} <= fields
