"""Guards fail on fixed margins, whatever the score says."""

import numpy as np
import pytest

from trainer.contract.spec import Evaluation
from trainer.judge.guards import answer_length, forgetting, unusable_answers
from trainer.store.manifest import ForgettingLosses

UNUSABLE = [
    pytest.param(["a"] * 100, ["a"] * 100, {}, True, id="all fine"),
    pytest.param(["a"] * 98 + [""] * 2, ["a"] * 100, {}, True, id="two points more are allowed"),
    pytest.param(["a"] * 97 + [" "] * 3, ["a"] * 100, {}, False, id="three points more are not"),
    pytest.param(["a"] * 90 + [""] * 10, ["a"] * 91 + [""] * 9, {}, True, id="the base is so too"),
    pytest.param([""] * 3, [], {}, False, id="no base arm with a model: none is allowed"),
    pytest.param(["{}"] * 97 + ["{"] * 3, ["{}"] * 100, {"metric": "JsonMatch"}, False,
                 id="not JSON"),
    pytest.param(["{"] * 100, ["{}"] * 100, {}, True, id="JSON counts for JsonMatch only"),
    pytest.param(["```json\n{}\n```"] * 9, ["{}"] * 9, {"metric": "JsonMatch"}, True,
                 id="a fence is what the metric takes off"),
    pytest.param(["[" * 100_000], ["{}"], {"metric": "JsonMatch"}, False, id="nested too deeply"),
    pytest.param(["maybe"] * 5, ["yes"] * 5, {"labels": ["yes", "no"]}, False, id="no label"),
    pytest.param([" yes\n"] * 5, ["yes"] * 5, {"labels": ["yes", "no"]}, True, id="a label"),
]  # fmt: skip


@pytest.mark.parametrize(("tuned", "base", "fields", "passed"), UNUSABLE)
def test_answers_may_hardly_be_less_usable_than_the_base_arms(tuned, base, fields, passed):
    guard = unusable_answers(tuned, base, **({"metric": "ExactMatch"} | fields))
    assert guard.passed is passed


@pytest.mark.parametrize(
    ("length", "passed"),
    [
        pytest.param(15, True, id="one and a half times"),
        pytest.param(16, False, id="longer"),
        pytest.param(1, True, id="shorter"),
    ],
)
def test_answers_may_not_ramble_on(length, passed):
    guard = answer_length(["x" * length] * 4, ["y" * 10] * 4)
    assert (guard.value, guard.passed) == (length / 10, passed)


def losses(rise, noise, chunks=40):
    base = np.full(chunks, 3.0)
    tuned = base + rise + noise * np.linspace(-1, 1, chunks)
    return ForgettingLosses(base=base.tolist(), tuned=tuned.tolist(), tokens=20000, source="test")


FORGETTING = [
    pytest.param(0.10, 0.05, True, id="little"),
    pytest.param(0.30, 0.05, False, id="surely too much"),
    pytest.param(0.30, 2.00, True, id="too much, but not surely"),
    pytest.param(-0.10, 0.05, True, id="nothing: it has learnt"),
]


@pytest.mark.parametrize(("rise", "noise", "passed"), FORGETTING)
def test_forgetting_fails_when_it_is_surely_too_much(rise, noise, passed):
    found = forgetting(losses(rise, noise), Evaluation())
    assert found.increase == pytest.approx(rise)
    assert found.passed is passed
    assert found.passed is (found.ci_low <= 0.2)


def test_one_chunk_is_judged_by_itself():
    found = forgetting(losses(0.3, 0, chunks=1), Evaluation())
    assert (found.ci_low, found.passed) == (pytest.approx(0.3), False)
