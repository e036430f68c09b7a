"""Answers are graded once, by a grader that says the same of the same answers."""

import json
import threading
from dataclasses import dataclass, field, replace

import pytest
from builders.arms import a_model, a_row, rules
from builders.requests import a_request

from trainer.arms import grading
from trainer.arms.finished import FinishedBatches
from trainer.arms.generate import Pace
from trainer.arms.grader import Grade
from trainer.arms.grading import Grading, sample
from trainer.arms.run import Examination, answer_arm, free_answers
from trainer.contract.failures import FailureClass
from trainer.errors import FencedError, StageError
from trainer.progress import ProgressTracker
from trainer.store.file import FileStore
from trainer.train.work import graded

GENERATION = "sha256:" + "ab" * 32
ADAPTER = "sha256:" + "cd" * 32
TRAIN = [a_row(f"t{at}", f"question number {at} of many", f"w{50 + at}") for at in range(6)]
TEST = [a_row(f"q{at}", f"tell {at}", f"w{at}") for at in range(7)]


@dataclass
class Counting:
    """Grades an answer by its length; remembers what it was asked."""

    change: float = 0.0
    """What it says more each time."""
    calls: list = field(default_factory=list)
    fails_at: int = -1

    def grade(self, questions):
        self.calls.append([question.id for question in questions])
        if len(self.calls) - 1 == self.fails_at:
            raise StageError(FailureClass.INVALID_SPEC, "spec.evaluation.grader: it failed")
        more = self.change * len(self.calls)
        return [
            Grade(min(1.0, len(one.answer) / 100 + more), ("short",) if len(one.answer) < 3 else ())
            for one in questions
        ]

    @property
    def count(self):
        return sum(map(len, self.calls))


@pytest.fixture
def a_grading(tmp_path, monkeypatch):
    """A grading of parts of 3, whose store outlives it."""
    monkeypatch.setattr(grading, "CALL_ANSWERS", 3)

    def build(grader, *, epoch=1, **fields):
        batches = FinishedBatches(
            FileStore(tmp_path / "output"), "run1", epoch, GENERATION, **fields
        )
        return Grading(grader, TEST, batches, ProgressTracker(a_request(tmp_path)))

    return build


@pytest.fixture
def examine(a_grading):
    """An examination by a grader."""

    def build(grader, **fields):
        by = a_grading(grader, **fields)
        return Examination(
            rules=rules(metric="Grader"),
            train=TRAIN,
            test=TEST,
            batches=by.batches,
            progress=by.progress,
            stop=threading.Event(),
            pace=Pace(rows=3),
            grading=by,
        )

    return build


@pytest.mark.parametrize("arm", ["ZeroShot", "FewShot", "Tuned"])
def test_each_answer_of_an_arm_is_graded_once_and_in_order(examine, arm):
    grader = Counting()
    digest = ADAPTER if arm == "Tuned" else ""
    answers = answer_arm(arm, a_model(), examine(grader), adapter_digest=digest)
    assert [answer.score for answer in answers] == [len(a.answer) / 100 for a in answers]
    assert [name for call in grader.calls for name in call] == [row.id for row in TEST]
    assert list(map(len, grader.calls)) == [3, 3, 1]


def test_the_arms_without_a_model_are_graded_like_the_others(examine):
    answers = free_answers("NearestRow", examine(Counting()))
    assert [answer.score for answer in answers] == [len(a.answer) / 100 for a in answers]


def test_flags_go_with_their_answers(a_grading):
    by = a_grading(Counting())
    long, short = by.grade("ZeroShot", [the_answer("q0", "long"), the_answer("q1", "no")])
    assert (long.flags, short.flags) == ([], ["short"])


def test_what_an_earlier_attempt_graded_is_not_asked_again(examine):
    first, second = Counting(fails_at=2), Counting()
    with pytest.raises(StageError, match="it failed"):
        answer_arm("ZeroShot", a_model(), examine(first))
    answers = answer_arm("ZeroShot", a_model(), examine(second, epoch=2))
    assert second.calls == [["q6"]]
    assert [answer.score for answer in answers] == [len(a.answer) / 100 for a in answers]


def test_progress_counts_what_was_graded_before(examine):
    with pytest.raises(StageError):
        free_answers("NearestRow", examine(Counting(fails_at=1)))
    again = examine(Counting(), epoch=2)
    free_answers("NearestRow", again)
    shown = again.progress.snapshot().activities[-1]
    assert (shown.name, shown.done, shown.total) == ("grade NearestRow", 7, 7)


def test_a_grade_of_another_answer_is_not_taken(a_grading):
    grader = Counting()
    by = a_grading(grader)
    by.grade("ZeroShot", [the_answer("q0", "one")])
    [changed] = by.grade("ZeroShot", [the_answer("q0", "another")])
    assert changed.score == 0.07
    assert grader.count == 2


def test_nothing_is_stored_once_a_newer_attempt_has_the_claim(a_grading, tmp_path):
    def passed():
        raise FencedError("epoch 2 has the claim")

    with pytest.raises(FencedError):
        a_grading(Counting(), check_claim=passed).grade("ZeroShot", [the_answer("q0", "one")])
    assert not list((tmp_path / "output").rglob("*.jsonl"))


def test_the_sample_has_right_and_wrong_answers():
    answers = sample(TEST)
    rows = {row.id: row.reference for row in TEST}
    right = [answer.answer == rows[answer.id] for answer in answers]
    assert right == [True, False] * 3 + [True]


def test_the_sample_of_many_rows_is_small_and_from_all_over():
    many = [a_row(f"q{at}", "tell", f"w{at}") for at in range(1000)]
    assert [answer.id for answer in sample(many)] == [f"q{at}" for at in range(0, 992, 62)]


def test_a_grader_that_says_the_same_twice_passes(a_grading):
    grader = Counting()
    a_grading(grader).check()
    assert list(map(len, grader.calls)) == [7, 7]


def test_a_grader_that_says_something_else_the_second_time_is_refused(a_grading):
    with pytest.raises(StageError, match=r"7 of 7 .* than the second time") as caught:
        a_grading(Counting(change=0.01)).check()
    assert caught.value.failure is FailureClass.INVALID_SPEC
    assert "draw nothing at random" in caught.value.message


def test_a_difference_in_the_last_digits_is_none(a_grading):
    a_grading(Counting(change=1e-8)).check()


def test_other_flags_are_another_grade(a_grading):
    grader = Counting()
    real, flags = grader.grade, iter([("a",), ("b",)])

    def flag(questions):
        given = next(flags)
        return [replace(grade, flags=given) for grade in real(questions)]

    grader.grade = flag
    with pytest.raises(StageError, match="7 of 7"):
        a_grading(grader).check()


def test_a_later_attempt_is_held_to_what_the_first_one_said(a_grading):
    a_grading(Counting()).check()
    same, other = Counting(), Counting(change=0.5)
    a_grading(same, epoch=2).check()
    assert list(map(len, same.calls)) == [7]
    with pytest.raises(StageError, match="in an earlier attempt, whose grades stand"):
        a_grading(other, epoch=3).check()


def test_the_sample_does_not_stand_for_any_arm(a_grading):
    grader = Counting()
    by = a_grading(grader)
    by.check()
    by.grade("ZeroShot", [one.model_copy(update={"arm": "ZeroShot"}) for one in sample(TEST)])
    assert grader.count == 21


class Peer:
    """One of two processes; what the other does meanwhile is done when they meet."""

    world = 2

    def __init__(self, rank, meanwhile=lambda: None):
        self.rank = rank
        self.meanwhile = meanwhile

    def meet(self, _place):
        self.meanwhile()


def test_of_several_processes_the_first_one_grades_and_all_have_the_grades(examine):
    first, second = Counting(), Counting()
    found = free_answers("NearestRow", replace(examine(first), peers=Peer(0)))
    assert free_answers("NearestRow", replace(examine(second), peers=Peer(1))) == found
    assert (first.count, second.count) == (7, 0)


def test_grades_that_the_first_process_did_not_leave_are_asked_for_again(examine):
    with pytest.raises(StageError, match="run again") as caught:
        free_answers("NearestRow", replace(examine(Counting()), peers=Peer(1)))
    assert caught.value.failure is FailureClass.UNAVAILABLE


def the_answer(name, text):
    [row] = [one for one in sample(TEST) if one.id == name]
    return row.model_copy(update={"arm": "ZeroShot", "answer": text})


def test_an_answer_without_flags_is_written_as_it_always_was():
    line = sample(TEST)[0].model_dump_json()
    assert list(json.loads(line)) == ["arm", "id", "answer", "score", "finish", "tokens"]


def test_the_stage_plans_to_grade_after_each_arm_and_to_try_the_grader_first():
    parts = [("NearestRow", "answers", 1.0), ("training", "steps", 9.0), ("Tuned", "answers", 5.0)]
    assert list(graded(parts, 2.0)) == [
        ("GraderSample", "answers", 1.0),
        parts[0],
        ("grade NearestRow", "answers", 2.0),
        parts[1],
        parts[2],
        ("grade Tuned", "answers", 2.0),
    ]
