"""A grader's scores and flags before the judge."""

import pytest
from builders.judge import evidence, span

from trainer.contract.failures import FailureClass
from trainer.contract.spec import RunSpec
from trainer.data.stage import check_gate
from trainer.errors import StageError
from trainer.judge.evidence import Answers
from trainer.judge.flags import flag_note
from trainer.judge.judgement import judge_evidence

COUNT = 60
ALL_OR_NOTHING = span(0, 20, COUNT), span(0, 40, COUNT)
GRADED = (
    [0.3 + 0.4 * one for one in ALL_OR_NOTHING[0]],
    [0.3 + 0.4 * one for one in ALL_OR_NOTHING[1]],
)
NEARLY = ALL_OR_NOTHING[0], [*ALL_OR_NOTHING[1][:-1], 0.5]

METHODS = [
    pytest.param(ALL_OR_NOTHING, "Tango", id="all 0 or 1: the interval of right and wrong answers"),
    pytest.param(GRADED, "bootstrap", id="graded: the bootstrap"),
    pytest.param(NEARLY, "bootstrap", id="0 and 1 but for one: graded"),
]


@pytest.mark.parametrize(("scores", "method"), METHODS)
def test_the_scores_themselves_choose_the_method(scores, method):
    base, tuned = scores
    found = judge_evidence(evidence({"ZeroShot": base}, tuned, metric="Grader"))
    assert [one.method for one in found.comparisons] == [method]
    assert found.metric == "Grader"


def a_spec(**evaluation):
    sections = {
        "baseModel": {"directory": {"path": "/b"}},
        "dataset": {"train": {"uri": "file:///t"}},
        "output": {"uri": "file:///o"},
        "evaluation": evaluation,
    }
    return RunSpec.model_validate(sections)


@pytest.mark.parametrize(
    ("metric", "is_enough"), [("Grader", False), ("ExactMatch", True)], ids=str
)
def test_a_grader_needs_as_many_groups_as_graded_scores_do(metric, is_enough):
    spec = a_spec(metric=metric, grader={"command": ["grade"]} if metric == "Grader" else None)
    if is_enough:
        check_gate(19, 19, metric, spec)
        return
    with pytest.raises(StageError, match="fewer than 20") as caught:
        check_gate(19, 19, metric, spec)
    assert caught.value.failure is FailureClass.TEST_TOO_SMALL


def flagged(*flags):
    return Answers(["a"] * len(flags), [0.0] * len(flags), flags)


NOTES = [
    pytest.param({"Tuned": flagged([], [])}, "", id="nothing was flagged"),
    pytest.param({"Tuned": Answers(["a"], [1.0])}, "", id="a metric of ours flags nothing"),
    pytest.param(
        {"ZeroShot": flagged(["short"], ["short", "rude"]), "Tuned": flagged(["short"], [])},
        "The grader flagged answers. short: ZeroShot 2, Tuned 1; rude: ZeroShot 1.",
        id="counted by arm, the commonest first",
    ),
    pytest.param(
        {"Tuned": flagged(["b", "a", "c", "d"], ["d"])},
        "The grader flagged answers. d: Tuned 2; a: Tuned 1; b: Tuned 1; and 1 more.",
        id="no more than three are named",
    ),
]


@pytest.mark.parametrize(("answers", "told"), NOTES)
def test_flags_are_told_in_one_note(answers, told):
    assert flag_note(answers) == told
