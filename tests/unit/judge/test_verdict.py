"""The order in which reasons count, and the sentences that people read."""

import dataclasses

import pytest
from builders.judge import answers, evidence, span

from trainer.contract.verdict import Verdict
from trainer.judge.evidence import Rival, promoted_gate
from trainer.judge.judgement import findings, first_line, judge_evidence
from trainer.judge.verdict import decide
from trainer.store.manifest import TUNED, ForgettingLosses

STOP = {"whenNotNeeded": "Stop", "targetScore": "0.7"}
REPORT = {"whenNotNeeded": "Report", "targetScore": "0.7"}


def arms(zero_shot, few_shot=None, *, of=100):
    """Base arms that get the first so many items right."""
    found = {"ZeroShot": span(0, zero_shot, of)}
    return found if few_shot is None else found | {"FewShot": span(0, few_shot, of)}


def tuned(count, *, of=100):
    """Right at the last ``count`` items: little overlap with the base arms."""
    return span(of - count, of, of)


def remembers_nothing(case):
    losses = ForgettingLosses(base=[3.0] * 20, tuned=[4.0] * 20, tokens=20000, source="test")
    return dataclasses.replace(case, forgetting=losses)


PRECEDENCE = [
    pytest.param(
        remembers_nothing(evidence(arms(80), tuned(100), evaluation=STOP)), Verdict.REJECT,
        "A guard failed: the loss on general text rose by 1.000", id="a failed guard beats all",
    ),
    pytest.param(
        evidence(arms(80), tuned(100), evaluation=STOP), Verdict.NOT_NEEDED,
        "ZeroShot without any tuning scores 80.0 %", id="not needed and told to stop beats promote",
    ),
    pytest.param(
        evidence(arms(80), tuned(100), evaluation=REPORT), Verdict.PROMOTE,
        "Tuned answers 100 of 100 right against 80", id="not needed and told to report is a note",
    ),
    pytest.param(
        evidence(arms(10, 20), tuned(60)), Verdict.PROMOTE,
        "above the required 0.", id="better than each arm is promoted",
    ),
    pytest.param(
        evidence(arms(10, 50), tuned(60)), Verdict.INCONCLUSIVE,
        "does not tell whether it is above the required 0.", id="better than one arm is not enough",
    ),
    pytest.param(
        evidence(arms(10, 70), tuned(40)), Verdict.REJECT,
        "it is worse.", id="surely worse than one arm is rejected",
    ),
    pytest.param(
        evidence(arms(40), span(0, 43, 100), evaluation={"minDelta": "0.2"}), Verdict.REJECT,
        "the gain is surely not more than the required 20.", id="surely smaller than minDelta",
    ),
    pytest.param(
        evidence(arms(50), tuned(52)), Verdict.INCONCLUSIVE,
        "would decide for a gain of 5 points.", id="neither is inconclusive",
    ),
    pytest.param(
        evidence(arms(0), tuned(60), per_group=10), Verdict.INCONCLUSIVE,
        "fewer than 20 groups", id="ten groups decide nothing, however clear it looks",
    ),
    pytest.param(
        evidence(arms(80), evaluation=STOP), Verdict.NOT_NEEDED,
        "that is the targetScore of 70.0 % or more", id="never trained because not needed",
    ),
    pytest.param(
        evidence(arms(60), evaluation=STOP), Verdict.INCONCLUSIVE,
        "set the annotation tunekeeper.dev/rerun to train", id="never trained, but needed by now",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("case", "verdict", "reason"), PRECEDENCE)
def test_reasons_count_in_the_order_of_the_design(case, verdict, reason):
    found = judge_evidence(case)
    assert found.verdict is verdict
    assert reason in found.reason


def test_a_promotion_says_scores_difference_interval_and_bar():
    case = evidence(
        {"ZeroShot": span(0, 0, 160), "RetrievedFewShot": span(0, 21, 160)},
        span(6, 58, 160),
    )
    assert judge_evidence(case).reason == (
        "Tuned answers 52 of 160 right against 21 for the best base arm (RetrievedFewShot): "
        "+19.4 points, 95 % interval 12.0 to 27.1, above the required 0."
    )


def test_graded_scores_are_told_as_percentages():
    case = evidence({"ZeroShot": [0.3, 0.4] * 30}, [0.5, 0.7] * 30, metric="TokenF1")
    reason = judge_evidence(case).reason
    assert reason.startswith("Tuned scores 60.0 % against 35.0 % for the best base arm (ZeroShot)")


def test_a_note_says_that_tuning_was_not_needed_when_only_reported():
    case = evidence(arms(80), tuned(100), evaluation=REPORT)
    assert any("targetScore" in note for note in judge_evidence(case).notes)


def test_paid_looks_widen_the_interval_and_are_named_in_the_reason():
    plain = judge_evidence(evidence(arms(40), tuned(60)))
    paid = judge_evidence(evidence(arms(40), tuned(60), evaluation={"looks": "Enforce"}))
    assert paid.ci_low < plain.ci_low
    assert paid.confidence_percent == pytest.approx(96.9604, abs=1e-4)
    assert "96.96 % interval" in paid.reason


def test_the_judgement_reports_the_hardest_gate():
    found = judge_evidence(evidence(arms(10, 50), tuned(60)))
    hardest = next(one for one in found.comparisons if one.arm == "FewShot")
    assert (found.delta, found.ci_low, found.ci_high) == (
        hardest.delta,
        hardest.ci_low,
        hardest.ci_high,
    )


def test_the_whole_gate_detects_less_than_its_hardest_arm_alone():
    one = judge_evidence(evidence(arms(40), tuned(50))).minimum_detectable_effect
    two = judge_evidence(evidence(arms(40, 41), tuned(50))).minimum_detectable_effect
    assert two > one


ADVICE = [
    pytest.param(
        evidence(arms(50), tuned(52)),
        "More rows are unlikely to help",
        False,
        id="100 items that all differ can not tell",
    ),
    pytest.param(
        evidence({"ZeroShot": span(0, 130, 400)}, span(4, 132, 400)),
        "More rows are unlikely to help: a gain of 5 points (smallestEffect) is surely not there.",
        True,
        id="the gain is surely below smallestEffect",
    ),
    pytest.param(
        evidence(
            {"ZeroShot": span(0, 40, 100)}, span(8, 50, 100),
            evaluation={"smallestEffect": "0.05", "minDelta": "0.05"},
        ),
        "No number of rows can decide: raise smallestEffect above minDelta.",
        True,
        id="smallestEffect does not exceed minDelta",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("case", "text", "expected"), ADVICE)
def test_an_inconclusive_verdict_says_what_would_help(case, text, expected):
    found = judge_evidence(case)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert (text in found.reason) is expected


def test_advice_names_test_rows_and_all_rows():
    found = judge_evidence(evidence(arms(50), tuned(52)))
    # 98 of 100 items differ: Connor's n for 5 points at (98 + 1) / 102, ten rows per test row
    assert "About 3045 test rows (30450 rows in all)" in found.reason


def test_advice_names_no_total_where_the_test_rows_are_the_users_own():
    found = judge_evidence(evidence(arms(50), tuned(52), test_is_split_off=False))
    assert "in all" not in found.reason


def test_not_worse_allows_its_margin_and_no_more():
    setting = {"arms": [{"name": "ZeroShot", "require": "NotWorse", "margin": "0.1"}]}
    level = evidence(arms(50), span(2, 51, 100), evaluation=setting)
    below = evidence(arms(50), span(30, 50, 100), evaluation=setting)
    assert judge_evidence(level).verdict is Verdict.PROMOTE
    assert judge_evidence(level).reason.endswith("above the allowed -10.")
    assert judge_evidence(below).verdict is Verdict.REJECT
    assert judge_evidence(below).reason.endswith("it is worse by more than the 10 points allowed.")


def rival(require, ours, theirs):
    case = evidence(arms(0), ours)
    gate = promoted_gate(require, 0.05, case.evaluation)
    return dataclasses.replace(case, rival=Rival("abc", gate, ours, theirs, case.groups))


AGAINST_PROMOTED = [
    pytest.param(rival("Better", tuned(60), span(0, 40, 100)), Verdict.PROMOTE, id="better"),
    pytest.param(
        rival("Better", tuned(60), tuned(60)), Verdict.INCONCLUSIVE, id="as good is not better"
    ),
    pytest.param(rival("NotWorse", tuned(60), tuned(60)), Verdict.PROMOTE, id="as good will do"),
    pytest.param(rival("NotWorse", tuned(40), span(0, 70, 100)), Verdict.REJECT, id="worse"),
]


@pytest.mark.parametrize(("case", "verdict"), AGAINST_PROMOTED)
def test_the_promoted_adapter_is_one_more_gate(case, verdict):
    found = judge_evidence(case)
    assert found.verdict is verdict
    assert found.comparisons[-1].arm == "Promoted"


FREE = [
    pytest.param(
        {"NearestRow": span(0, 183, 200)}, span(0, 186, 200),
        "The answer of the most similar training row, no model at all, does as well: "
        "183 of 200 right, tuned 186 of 200 right.", id="three of 200 fewer",
    ),
    pytest.param(
        {"MajorityLabel": span(0, 150, 200)}, span(0, 140, 200),
        "The commonest answer of the training rows, no model at all, does as well: "
        "150 of 200 right, tuned 140 of 200 right.", id="even better",
    ),
    pytest.param(
        {"NearestRow": span(0, 9, 20)}, span(8, 20, 20),
        "The answer of the most similar training row, no model at all, is not shown to be worse: "
        "9 of 20 right, tuned 12 of 20 right; the test is too small for a difference of 15 "
        "points.", id="too few items to tell",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("free", "scores", "line"), FREE)
def test_the_first_line_says_when_no_model_does_as_well(free, scores, line):
    count = len(scores)
    case = evidence({"ZeroShot": span(0, 0, count)} | free, scores)
    assert first_line(case, judge_evidence(case)) == line


def test_a_free_arm_is_compared_with_the_base_arm_where_nothing_was_trained():
    case = evidence(
        {"ZeroShot": span(0, 190, 200), "NearestRow": span(0, 189, 200)}, evaluation=STOP
    )
    line = first_line(case, judge_evidence(case))
    assert "does as well: 189 of 200 right, ZeroShot 190 of 200 right." in line


@pytest.mark.parametrize(
    ("case", "line"),
    [
        pytest.param(evidence(arms(10), tuned(60)), "Tuning helps.", id="promote"),
        pytest.param(
            evidence(arms(70), tuned(40)), "The tuned model is not good enough.", id="reject"
        ),
        pytest.param(
            evidence(arms(50), tuned(52)), "The test could not decide.", id="inconclusive"
        ),
        pytest.param(
            evidence(arms(80), evaluation=STOP), "You do not need to tune.", id="not needed"
        ),
        pytest.param(
            evidence(arms(10) | {"NearestRow": span(0, 20, 100)}, tuned(60)),
            "Tuning helps.",
            id="a free arm that is surely worse",
        ),
    ],
)
def test_else_the_first_line_is_the_verdict(case, line):
    assert first_line(case, judge_evidence(case)) == line


def test_a_free_arm_that_is_not_listed_is_no_gate():
    case = evidence(arms(10) | {"NearestRow": span(0, 90, 100)}, tuned(60))
    found = judge_evidence(case)
    assert found.verdict is Verdict.PROMOTE
    assert {arm.name: arm.gate for arm in found.arms} == {
        "ZeroShot": True,
        "NearestRow": False,
        TUNED: False,
    }


def test_a_free_arm_that_is_listed_is_a_gate():
    setting = {"arms": [{"name": "ZeroShot"}, {"name": "NearestRow"}]}
    case = evidence(arms(10) | {"NearestRow": span(0, 90, 100)}, tuned(60), evaluation=setting)
    assert judge_evidence(case).verdict is Verdict.REJECT


def test_every_failed_guard_is_named():
    case = remembers_nothing(evidence(arms(0), tuned(100)))
    talkative = answers(tuned(100))
    wordy = dataclasses.replace(talkative, texts=["yes, of course"] * 100)
    case = dataclasses.replace(case, answers={**case.answers, TUNED: wordy})
    reason = decide(case, findings(case)).reason
    assert "general text" in reason
    assert "times as long" in reason
