"""An object as an API server holds it: the spec strictly, the status as far as it makes sense."""

import json
from typing import Any

import msgspec
import pytest
from builders.jobs import SPEC, UID, Scene
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.api.read import read_base_model, read_job, read_status
from controller.api.status import FineTuneJobStatus
from controller.api.wire import to_document
from controller.core.decide import decide
from controller.core.observed import Observed
from controller.errors import SpecError

META = {"name": "intents", "namespace": "ml", "uid": UID, "generation": 1}


def a_stored_status() -> dict[str, Any]:
    return to_document(Scene().settled().succeeded().settled().job.status)


def read(status: Any) -> FineTuneJobStatus:
    return read_status(json.dumps(status).encode())


def test_what_was_written_is_what_is_read() -> None:
    status = Scene().settled().succeeded().settled().job.status
    assert read(to_document(status)) == status


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        pytest.param(
            {**SPEC, "magic": 1},
            "spec.magic: this release does not know the field; remove it, or upgrade the operator",
            id="a field of a newer release",
        ),
        pytest.param(
            {**SPEC, "lora": {"rank": {"of": 1}}},
            "spec.lora.rank: this release cannot read it",
            id="a value of another type",
        ),
        pytest.param({}, "spec.baseModel: this release cannot read it", id="nothing in it"),
        pytest.param("[]", "spec: this release cannot read it", id="no object"),
    ],
)
def test_a_spec_that_cannot_be_read_is_refused_by_place(spec: Any, problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_job(META, json.dumps(spec).encode(), b"{}")
    assert problem in str(caught.value)


def test_no_value_of_the_spec_is_in_the_message() -> None:
    env = [{"name": "TOKEN", "value": {"hf_secret": 1}}]
    with pytest.raises(SpecError) as caught:
        read_job(META, json.dumps({**SPEC, "compute": {"env": env}}).encode(), b"{}")
    assert "spec.compute.env[0].value" in str(caught.value)
    assert "hf_secret" not in str(caught.value)


def test_a_hundred_problems_are_ten_and_a_number() -> None:
    spec = {**SPEC, **{f"x{number}": 1 for number in range(100)}}
    with pytest.raises(SpecError) as caught:
        read_job(META, json.dumps(spec).encode(), b"{}")
    assert str(caught.value).splitlines()[-1] == "and 90 more"


def test_raw_json_of_a_watched_object_is_read_as_it_is() -> None:
    raw = msgspec.json.decode(json.dumps({"spec": SPEC}).encode(), type=dict[str, msgspec.Raw])
    assert read_job(META, raw["spec"], msgspec.Raw(b"{}")).spec.output.uri == "file:///out/intents"


def test_what_a_newer_release_added_inside_the_status_is_dropped_and_the_rest_is_kept() -> None:
    stored = a_stored_status()
    plain = read(stored)
    stored["run"]["fresh"] = {"a": [1]}
    stored["run"]["baseModel"]["fresh"] = 1
    stored["cost"]["fresh"] = "x"
    stored["conditions"].insert(1, {"type": "Fresh", "status": "True", "reason": "Fresh"})
    stored["conditions"].append({"type": "Trained"})
    assert read(stored) == plain


@pytest.mark.parametrize(
    ("part", "value"),
    [
        pytest.param("conditions", "none", id="another type"),
        pytest.param("progress", {"stage": "resolve"}, id="a stage of a newer release"),
        pytest.param("run", {"number": 4, "stage": "resolve", "attempt": 1}, id="so is a run's"),
        pytest.param("run", {"number": 4}, id="a run that names no attempt"),
        pytest.param("promoted", {"sequence": 1}, id="a part that lacks something"),
    ],
)
def test_a_part_that_makes_no_sense_is_as_if_it_were_not_there(part: str, value: Any) -> None:
    stored = a_stored_status()
    stored.pop(part, None)
    assert read({**stored, part: value}) == read(stored)


@pytest.mark.parametrize(
    "status", [b"", b"null", b"[]", b"7", b"{", b"\xff", b'{"run": null}', b"[" * 100_000]
)
def test_a_status_that_is_none_is_empty(status: bytes) -> None:
    assert read_status(status) == FineTuneJobStatus()


def test_a_base_model_is_read_by_the_same_rules() -> None:
    spec = json.dumps({"source": {"directory": {"path": "/models/a"}}}).encode()
    base = read_base_model(META, spec, b'{"latest": {"revision": "abc"}, "fresh": 1}')
    assert base.status.latest is None
    with pytest.raises(SpecError, match=r"spec\.fresh"):
        read_base_model(META, b'{"source": {"directory": {"path": "/m"}}, "fresh": 1}', b"")


SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@st.composite
def damaged_statuses(draw: st.DrawFn) -> dict[str, Any]:
    """A real status with some of its parts replaced by anything."""
    stored = a_stored_status()
    for _ in range(draw(st.integers(1, 4))):
        around: Any = stored
        while isinstance(around, dict | list) and around:
            keys = list(around) if isinstance(around, dict) else list(range(len(around)))
            key = draw(st.sampled_from(keys))
            if draw(st.booleans()) or not isinstance(around[key], dict | list):
                around[key] = draw(VALUES)
                break
            around = around[key]
    return stored


@settings(max_examples=150, deadline=None, database=None)
@given(damaged_statuses())
def test_no_status_keeps_an_object_from_being_decided_about(stored: dict[str, Any]) -> None:
    job = read_job(META, json.dumps(SPEC).encode(), json.dumps(stored).encode())
    decision = decide(Observed(job, Scene().now))
    again = job.model_copy(update={"status": decision.status})
    decide(Observed(again, Scene().now))
