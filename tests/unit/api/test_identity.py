"""Digests of a spec: what changes them, and golden values that no release may change."""

from decimal import Decimal

import pytest
from builders.api import a_job_spec
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.api import identity


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
GRADED = {"metric": "Grader", "grader": {"command": ["python", "/opt/graders/slots.py"]}}

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
    pytest.param({"evaluation": GRADED}, {"generation", "retry"}, id="the grader"),
    pytest.param({"evaluation": {"minDelta": "0.1"}}, {"judge", "retry"}, id="a threshold"),
    pytest.param(
        {"evaluation": {"arms": [*ARMS[:2], ARMS[2] | {"require": "NotWorse"}]}},
        {"judge", "retry"},
        id="what is required against an arm",
    ),
    pytest.param({"promotion": {"policy": "Manual"}}, {"judge"}, id="the promotion policy"),
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


@settings(deadline=None, database=None)
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


REAL = {
    "lora": {"rank": 8, "variant": "DoRA"},
    "training": {"learningRate": "5e-4", "seed": 3},
    "evaluation": {"metric": "JsonMatch", "minDelta": "0.02"},
    "compute": {"gpus": 0},
}

GOLDEN = [
    pytest.param(
        {},
        {
            "spec": "522f10914a33c31bd15e2a44e2108bd9ac28acff776f7e287ee09efaa702e83b",
            "identity": "5a4c0e65828fbc1c6094266c7a47d3f53b51b93fa38278b22dd679ee33d90ac3",
            "generation": "5cca4662d3b69cc7a8170bc74036225e16949c71d1a35727c2daa50438df0807",
            "judge": "6b7112d1cc1ff058c221e13cc008e68bbfa30b16a6865d73a82d3934235bb293",
            "retry": "42bda672dcc43dfc610e29c6439c3f164fa25c4bcc787b06febc737be3c5b6bc",
        },
        id="the least spec",
    ),
    pytest.param(
        REAL,
        {
            "spec": "08cbb7f74e1a180cb410f6046793300b0732874af5f6d728a6ebea4f5f73bf1b",
            "identity": "b6105ca7719c3fe980f48293ec0a647c44bc53b083cadefe073226074bafeb6f",
            "generation": "c9892080087cd57e602e6e5976cd87827a8809f10b9aff5a9992629a7c1acb88",
            "judge": "12380ac4911c5728f457fa15820131b36a89812e360b777a13f5c1a44c1477cb",
            "retry": "4911f464b91ed49f64cc316d06b5363085b7b6137c0ab51bb667ff3bc489b146",
        },
        id="a spec of every class",
    ),
    pytest.param(
        {"evaluation": GRADED},
        {
            "spec": "522f10914a33c31bd15e2a44e2108bd9ac28acff776f7e287ee09efaa702e83b",
            "identity": "5a4c0e65828fbc1c6094266c7a47d3f53b51b93fa38278b22dd679ee33d90ac3",
            "generation": "ec6e26ab502e95fc3cd396b79a93a8cec0212ff516016188fcf4198f3f8b5054",
            "judge": "6b7112d1cc1ff058c221e13cc008e68bbfa30b16a6865d73a82d3934235bb293",
            "retry": "fd94a14a10edc63e74abff0e84ba0ddbbe2c54719ef81120b24784b8fe4f01df",
        },
        id="a grader, under the training of the least spec",
    ),
]


def test_another_command_of_a_grader_answers_anew_and_trains_nothing():
    other = {**GRADED, "grader": {"command": [*GRADED["grader"]["command"], "--version=2"]}}
    before, after = digests(evaluation=GRADED), digests(evaluation=other)
    assert {name for name in before if before[name] != after[name]} == {"generation", "retry"}


@pytest.mark.parametrize(("sections", "golden"), GOLDEN)
def test_an_upgrade_of_the_operator_starts_nothing(sections, golden):
    assert digests(**sections) == {name: f"sha256:{digest}" for name, digest in golden.items()}


DEFAULTS_OF_V1ALPHA1 = {
    "method": "SFT",
    "quantization": "None",
    "dataset": DATA
    | {
        "format": "Auto",
        "fields": {
            "prompt": "prompt",
            "completion": "completion",
            "messages": "messages",
            "text": "text",
            "chosen": "chosen",
            "rejected": "rejected",
        },
        "split": {"validationPercent": 10, "testPercent": "Auto"},
        "maxInvalidPercent": 0,
    },
    "lora": {
        "rank": 16,
        "alpha": 32,
        "dropout": "0",
        "targetModules": ["AllLinear"],
        "variant": "LoRA",
    },
    "training": {
        "epochs": "Auto",
        "learningRate": "Auto",
        "batchTokens": "Auto",
        "maxSequenceTokens": 2048,
        "scheduler": "Cosine",
        "warmupPercent": 3,
        "weightDecay": "0",
        "maxGradNorm": "1",
        "seed": 17,
        "precision": "Auto",
        "earlyStopping": {"patience": 3, "minDelta": "0"},
        "trainOn": "Completions",
        "dpoBeta": "0.1",
    },
    "evaluation": {
        "metric": "Auto",
        "arms": [
            {"name": name, "require": "Better", "margin": "0.05"}
            for name in ("ZeroShot", "FewShot", "RetrievedFewShot")
        ],
        "fewShotExamples": "Auto",
        "maxNewTokens": "Auto",
        "confidencePercent": 95,
        "minDelta": "0",
        "smallestEffect": "0.05",
        "whenNotNeeded": "Report",
        "againstPromoted": "Auto",
        "looks": "Enforce",
        "forgetting": {"maxIncrease": "0.20", "tokens": 20000},
    },
    "promotion": {"policy": "Auto"},
    "output": {"uri": "file:///results", "merged": False},
}


def test_the_defaults_of_the_api_stay_what_they_are():
    """An API server stores defaults; with another default the stored ones would be a change."""
    assert changed(**DEFAULTS_OF_V1ALPHA1) == set()
