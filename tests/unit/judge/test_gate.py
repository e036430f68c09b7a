"""The one rule, and what it says before training: too small a test, no need to tune."""

import numpy as np
import pytest
from builders.judge import items, span
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.contract.spec import Evaluation
from trainer.judge import alpha
from trainer.judge.gate import (
    Gate,
    can_decide,
    gates_of,
    groups_needed,
    not_needed,
    pass_gate,
)
from trainer.judge.planning import Spread, items_needed, spread
from trainer.judge.proportions import tango


def evaluation(**fields):
    return Evaluation.model_validate({"looks": "Report"} | fields)


def groups(count):
    return [item.group for item in items(count)]


NOT_WORSE = [{"name": "ZeroShot", "require": "NotWorse", "margin": "0.1"}]

RULE = [
    pytest.param("Better", 0.0, 30, 10, True, id="better, limit above 0"),
    pytest.param("Better", 0.0, 24, 20, False, id="better, but the interval holds 0"),
    pytest.param("Better", 0.1, 30, 10, False, id="better than 0, not surely by 10 points"),
    pytest.param("NotWorse", -0.05, 20, 20, False, id="no difference, not shown within 5 points"),
    pytest.param("NotWorse", -0.15, 20, 20, True, id="no difference, surely within 15 points"),
]


@pytest.mark.parametrize(("require", "threshold", "wins", "losses", "passed"), RULE)
def test_a_gate_is_passed_when_the_lower_limit_exceeds_its_threshold(
    require, threshold, wins, losses, passed
):
    tuned, base = span(0, wins, 100), span(wins, wins + losses, 100)
    result = pass_gate(Gate("ZeroShot", require, threshold), tuned, base, groups(100), 0.95)
    assert (result.wins, result.losses) == (wins, losses)
    assert result.passed is passed
    assert result.passed is (result.comparison().ci_low > threshold)


def test_too_few_groups_pass_nothing_and_fail_nothing():
    clusters = [item.group for item in items(40, per_group=4)]
    tuned, base = span(0, 40, 40), span(0, 0, 40)
    result = pass_gate(Gate("ZeroShot", "Better", 0.0), tuned, base, clusters, 0.95)
    assert (result.passed, result.failed_for_sure) == (False, False)
    assert (result.comparison().ci_low, result.comparison().ci_high) == (-1, 1)


def test_mcnemar_is_not_printed_for_clusters():
    clusters = [item.group for item in items(60, per_group=2)]
    tuned, base = span(0, 20, 60), span(30, 40, 60)
    result = pass_gate(Gate("ZeroShot", "Better", 0.0), tuned, base, clusters, 0.95)
    assert result.p_value is None


def test_thresholds_come_from_min_delta_and_margin():
    arms = [{"name": "FewShot"}, {"name": "ZeroShot", "require": "NotWorse", "margin": "0.03"}]
    found = gates_of(evaluation(arms=arms, minDelta="0.02"))
    assert [gate.threshold for gate in found] == [0.02, -0.03]


DECIDABLE = [
    pytest.param({}, {}, 4, id="0/1 scores: four pairs won beat nothing"),
    pytest.param({"looks": "Enforce"}, {}, 5, id="the first look pays too"),
    pytest.param({"minDelta": "0.5"}, {}, 12, id="half of all must be gained"),
    pytest.param({"confidencePercent": 99}, {}, 7, id="more confidence"),
    pytest.param({"arms": NOT_WORSE}, {}, 4, id="a margin of 10 points"),
    pytest.param({}, {"clustered": True}, 20, id="clusters have no interval below 20"),
    pytest.param({}, {"binary": False}, 20, id="nor have graded scores"),
    pytest.param({"minDelta": "0.9"}, {"binary": False}, 73, id="graded, nearly all to gain"),
]


@pytest.mark.parametrize(("fields", "kind", "needed"), DECIDABLE)
def test_the_smallest_test_that_can_decide(fields, kind, needed):
    setting, kind = evaluation(**fields), {"binary": True} | kind
    assert groups_needed(setting, **kind) == needed
    assert can_decide(needed, setting, **kind) is None
    message = can_decide(needed - 1, setting, **kind)
    assert f"{needed - 1} groups" in message
    assert f"fewer than {needed} " in message


@settings(deadline=None)
@given(st.integers(0, 95), st.integers(80, 99))
def test_one_group_fewer_than_needed_never_passes_and_as_many_do(percent, level):
    setting = evaluation(minDelta=f"{percent / 100}", confidencePercent=level)
    needed, sure = groups_needed(setting, binary=True), alpha.confidence(setting)
    assert tango(needed, 0, needed, sure).low > percent / 100
    if needed > 1:
        assert tango(needed - 1, 0, needed - 1, sure).low <= percent / 100


def test_a_gain_of_everything_can_not_be_asked_for():
    assert "minDelta" in can_decide(1000, evaluation(minDelta="1"), binary=True)


NEED = [
    pytest.param({"targetScore": "0.8"}, {"ZeroShot": 90}, True, id="surely above the target"),
    pytest.param({"targetScore": "0.8"}, {"ZeroShot": 82}, False, id="perhaps above the target"),
    pytest.param({}, {"ZeroShot": 90}, False, id="no target, and room for 10 points"),
    pytest.param({}, {"ZeroShot": 100}, True, id="no room left for 5 points"),
    pytest.param({"smallestEffect": "0.01"}, {"ZeroShot": 100}, False, id="room for 1 point"),
    pytest.param(
        {"targetScore": "0.8"}, {"ZeroShot": 90, "NearestRow": 99}, True, id="by ZeroShot alone"
    ),
]


@pytest.mark.parametrize(("fields", "right", "expected"), NEED)
def test_tuning_is_not_needed_where_a_base_arm_is_surely_good_enough(fields, right, expected):
    setting = evaluation(arms=[{"name": "ZeroShot"}], **fields)
    scores = {name: span(0, count, 100) for name, count in right.items()}
    found = not_needed(scores, groups(100), setting)
    assert (found is not None) is expected
    assert found is None or found.arm == "ZeroShot"


def test_asking_more_arms_asks_more_of_each():
    one = evaluation(arms=[{"name": "ZeroShot"}], targetScore="0.8")
    three = evaluation(targetScore="0.8")
    scores = {"ZeroShot": span(0, 88, 100), "FewShot": span(0, 1, 100)}
    scores["RetrievedFewShot"] = scores["FewShot"]
    assert not_needed({"ZeroShot": scores["ZeroShot"]}, groups(100), one) is not None
    assert not_needed(scores, groups(100), three) is None


def test_not_needed_names_arm_score_and_bar():
    setting = evaluation(arms=[{"name": "ZeroShot"}], targetScore="0.8")
    found = not_needed({"ZeroShot": span(0, 90, 100)}, groups(100), setting)
    assert found.reason == (
        "ZeroShot without any tuning scores 90.0 %, surely at least 82.6 %: "
        "that is the targetScore of 80.0 % or more."
    )


def test_no_number_of_items_shows_an_effect_below_the_threshold():
    assert items_needed(Spread(0.3, 1.0), 0.05, 0.05, 0.95) is None


def test_clusters_that_agree_need_as_many_more_items():
    random = np.random.default_rng(8)
    tuned = np.repeat(random.binomial(1, 0.6, 100), 3).tolist()
    base = np.repeat(random.binomial(1, 0.5, 100), 3).tolist()
    clusters = [item.group for item in items(300, per_group=3)]
    assert spread(tuned, base, clusters).design_effect == pytest.approx(3, rel=0.05)
