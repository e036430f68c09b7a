"""Digests of a spec: what changes them, and golden values that no release may change."""

from decimal import Decimal

import pytest
from builders.api import a_job_spec
from hypothesis import given
from hypothesis import strategies as st

from controller.api import identity

GOLDEN = {}


def digests(**sections):
    spec = a_job_spec(**sections)
    return {
        "spec": identity.spec_hash(spec),
        "identity": identity.identity_hash(spec),
        "generation": identity.generation_hash(spec),
        "judge": identity.judge_hash(spec),
        "retry": identity.retry_hash(spec),
    }


PLAIN = digests()


def changed(**sections):
    told = digests(**sections)
    return {name for name in told if told[name] != PLAIN[name]}


ARMS = [{"name": "ZeroShot"}, {"name": "FewShot"}, {"name": "RetrievedFewShot"}]
OTHER_MODEL = {"huggingFace": {"repo": "acme/base"}}
OTHER_DATA = {"train": {"uri": "file:///data/other.jsonl"}}
DATA = {"train": {"uri": "file:///data/train.jsonl"}}

CHANGES = [
    pytest.param({"method": "DPO"}, {"spec", "identity", "retry"}, id="the method"),
    pytest.param({"lora": {"rank": 8}}, {"spec", "identity", "retry"}, id="the rank"),
    pytest.param({"training": {"seed": 1}}, {"spec", "identity", "retry"}, id="the seed"),
    pytest.param(
        {"dataset": DATA | {"instruction": "Hi"}},
        {"spec", "identity", "retry"},
        id="the instruction",
    ),
    pytest.param({"baseModel": OTHER_MODEL}, {"spec", "retry"}, id="where the base model is"),
    pytest.param({"dataset": OTHER_DATA}, {"spec", "retry"}, id="where the data is"),
    pytest.param(
        {"output": {"uri": "file:///elsewhere"}}, {"spec", "retry"}, id="where the output is"
    ),
    pytest.param({"evaluation": {"metric": "RougeL"}}, {"generation", "retry"}, id="the metric"),
    pytest.param({"evaluation": {"arms": ARMS[:1]}}, {"generation", "retry"}, id="the arms"),
    pytest.param({"evaluation": {"minDelta": "0.1"}}, {"judge", "retry"}, id="a threshold"),
    pytest.param(
        {"evaluation": {"arms": [*ARMS[:2], ARMS[2] | {"require": "NotWorse"}]}},
        {"judge", "retry"},
        id="what is required against an arm",
    ),
    pytest.param(
        {"promotion": {"policy": "Manual"}}, {"judge", "retry"}, id="the promotion policy"
    ),
    pytest.param({"compute": {"gpus": 0}}, {"retry"}, id="the hardware"),
    pytest.param(
        {"training": {"checkpointPeriodSeconds": 60}}, {"retry"}, id="the checkpoint period"
    ),
    pytest.param(
        {"dataset": DATA | {"storage": {"region": "eu"}}}, {"retry"}, id="the way to the store"
    ),
    pytest.param({"suspend": True}, set(), id="suspension changes nothing"),
    pytest.param({"retrain": {"policy": "Never"}}, set(), id="the retrain policy changes nothing"),
    pytest.param({"historyLimit": 3}, set(), id="the history limit changes nothing"),
]


@pytest.mark.parametrize(("sections", "expected"), CHANGES)
def test_a_change_moves_the_digests_of_its_class_alone(sections, expected):
    assert changed(**sections) == expected


DEFAULTS = [
    pytest.param({"method": "SFT", "quantization": "None"}, id="scalars"),
    pytest.param(
        {"training": {"epochs": "Auto", "seed": 17}}, id="a section with two of its defaults"
    ),
    pytest.param({"lora": {}}, id="an empty section"),
    pytest.param({"lora": {"targetModules": ["AllLinear"]}}, id="a list"),
    pytest.param({"evaluation": {"arms": ARMS}}, id="a list of sections"),
    pytest.param(
        {"evaluation": {"arms": [arm | {"margin": "0.05"} for arm in ARMS]}}, id="with its own"
    ),
    pytest.param({"dataset": DATA | {"split": {"testPercent": "Auto"}}}, id="deep in a section"),
    pytest.param({"training": {"dpoBeta": "0.10"}}, id="a decimal with another zero"),
    pytest.param({"compute": {"nodeSelector": {}, "resources": None}}, id="nothing at all"),
]


@pytest.mark.parametrize("sections", DEFAULTS)
def test_a_default_that_is_spelled_out_moves_nothing(sections):
    assert changed(**sections) == set()


def test_a_default_inside_a_source_moves_nothing():
    short = digests(baseModel={"huggingFace": {"repo": "acme/base"}})
    long = digests(baseModel={"huggingFace": {"repo": "acme/base", "branch": "main"}})
    assert short == long


@given(st.decimals(min_value=Decimal("1e-8"), max_value=1, places=8), st.integers(0, 3))
def test_a_decimal_asks_for_the_same_however_it_is_spelled(number, zeros):
    plain = f"{number:f}" + "0" * zeros
    scientific = f"{int(number.scaleb(8))}e-8"
    assert digests(training={"learningRate": plain}) == digests(
        training={"learningRate": scientific}
    )


def test_text_that_looks_like_a_decimal_stays_as_it_is_written():
    assert changed(dataset=DATA | {"instruction": "1.0"}) != set()
    assert digests(dataset=DATA | {"instruction": "1.0"}) != digests(
        dataset=DATA | {"instruction": "1"}
    )


def test_digests_of_different_classes_are_told_apart():
    assert len(set(PLAIN.values())) == len(PLAIN)


def test_canonical_json_has_sorted_keys_and_no_spaces():
    assert identity.canonical_json({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'.encode()
