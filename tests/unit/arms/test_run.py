import threading
from dataclasses import replace

import pytest
from builders.arms import a_model, a_row, rules
from builders.requests import a_request

from trainer.arms.finished import FinishedBatches
from trainer.arms.generate import Decoder, Pace
from trainer.arms.run import Examination, answer_arm, context_tokens, free_answers
from trainer.contract.failures import FailureClass
from trainer.errors import FencedError, StageError
from trainer.progress import ProgressTracker
from trainer.store.file import FileStore

GENERATION = "sha256:" + "ab" * 32
ADAPTER = "sha256:" + "cd" * 32
TRAIN = [a_row(f"t{at}", f"question number {at} of many", f"w{50 + at}") for at in range(6)]
TEST = [
    a_row(f"q{at}", " ".join(["please"] * (1 + at % 4)) + f" tell {at}", "w7") for at in range(7)
]


@pytest.fixture
def examine(tmp_path):
    """An examination whose store outlives it."""

    def build(*, epoch=1, generation=GENERATION, the_rules=None, **fields):
        store = FileStore(tmp_path / "output")
        return Examination(
            rules=the_rules or rules(),
            train=TRAIN,
            test=TEST,
            batches=FinishedBatches(store, "run1", epoch, generation, **fields),
            progress=ProgressTracker(a_request(tmp_path)),
            stop=threading.Event(),
            pace=Pace(rows=3),
        )

    return build


@pytest.fixture
def answered(monkeypatch):
    """How many prompts the model was really asked."""
    counts = []
    real = Decoder.answer

    def count(self, prompts, shared):
        counts.append(len(prompts))
        return real(self, prompts, shared)

    monkeypatch.setattr(Decoder, "answer", count)
    return counts


def done(examination):
    return examination.progress.snapshot().activities[-1]


@pytest.mark.parametrize("arm", ["ZeroShot", "FewShot", "RetrievedFewShot"])
def test_every_test_row_is_answered_once_and_in_order(examine, arm):
    examination = examine()
    answers = answer_arm(arm, a_model(), examination)
    assert [answer.id for answer in answers] == [row.id for row in TEST]
    assert {answer.arm for answer in answers} == {arm}
    assert (done(examination).done, done(examination).total) == (7, 7)


def test_a_second_attempt_asks_the_model_nothing(examine, answered):
    first = answer_arm("ZeroShot", a_model(), examine())
    assert sum(answered) == 7
    again = examine(epoch=2)
    assert answer_arm("ZeroShot", a_model(), again) == first
    assert sum(answered) == 7
    assert done(again).done == 7


def test_an_interrupted_arm_goes_on_from_its_finished_batches(examine, answered):
    whole = answer_arm("ZeroShot", a_model(), examine(generation="sha256:" + "00" * 32))
    answered.clear()
    interrupted = examine()
    write = FinishedBatches.write

    def stop_after(*arguments):
        write(*arguments)
        interrupted.stop.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FinishedBatches, "write", stop_after)
        with pytest.raises(StageError) as caught:
            answer_arm("ZeroShot", a_model(), interrupted)
    assert caught.value.failure is FailureClass.INTERRUPTED
    answered.clear()
    assert answer_arm("ZeroShot", a_model(), examine(epoch=3)) == whole
    assert sum(answered) == 4


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"not json\n",
        b'{"arm":"ZeroShot","id":"other","answer":"","score":0,"finish":"stop"}\n',
    ],
    ids=["emptied", "not JSON", "of other rows"],
)
def test_a_damaged_batch_is_answered_again(examine, answered, damage, tmp_path):
    first = answer_arm("ZeroShot", a_model(), examine())
    (path,) = (tmp_path / "output").rglob("00001.jsonl")
    path.write_bytes(damage)
    answered.clear()
    assert answer_arm("ZeroShot", a_model(), examine(epoch=2)) == first
    assert answered == [3]


def test_answers_for_other_settings_are_not_taken(examine, answered):
    answer_arm("ZeroShot", a_model(), examine())
    answer_arm("ZeroShot", a_model(), examine(generation="sha256:" + "00" * 32))
    assert sum(answered) == 14


def test_answers_of_another_adapter_are_not_taken(examine, answered):
    answer_arm("Tuned", a_model(), examine(), adapter_digest=ADAPTER)
    answer_arm("Tuned", a_model(), examine(), adapter_digest="sha256:" + "00" * 32)
    assert sum(answered) == 14
    answer_arm("Tuned", a_model(), examine(epoch=2), adapter_digest=ADAPTER)
    assert sum(answered) == 14


def test_the_tuned_arm_has_to_name_its_adapter(examine):
    with pytest.raises(ValueError, match="adapter's digest"):
        answer_arm("Tuned", a_model(), examine())


def test_nothing_is_stored_once_a_newer_attempt_has_the_claim(examine, tmp_path):
    def passed():
        raise FencedError("epoch 2 has the claim")

    with pytest.raises(FencedError):
        answer_arm("ZeroShot", a_model(), examine(check_claim=passed))
    assert not list((tmp_path / "output").rglob("*.jsonl"))


def test_a_right_answer_scores_1_and_a_wrong_one_0(examine):
    examination = examine()
    answers = answer_arm("ZeroShot", a_model(), examination)
    right = TEST[0].reference
    assert examination.graded("ZeroShot", TEST[0], f" {right}\n", "stop", 3).score == 1
    assert examination.graded("ZeroShot", TEST[0], f" {right}\n", "stop", 3).answer == right
    assert {answer.score for answer in answers} <= {0, 1}


@pytest.mark.parametrize(
    ("has_template", "expected"),
    [(True, ("w7\n\nanother question", "length")), (False, ("w7", "stop"))],
    ids=["with a template it all counts", "without one the first line is the answer"],
)
def test_what_a_plain_text_model_invents_after_its_answer(examine, has_template, expected):
    plain = rules()
    plain.renderer.has_template = has_template
    graded = examine(the_rules=plain).graded(
        "FewShot", TEST[0], "\nw7\n\nanother question", "length", 8
    )
    assert (graded.answer, graded.finish) == expected


@pytest.mark.parametrize("arm", ["MajorityLabel", "NearestRow"])
def test_free_arms_answer_without_a_model(examine, arm):
    examination = examine()
    answers = free_answers(arm, examination)
    assert [answer.id for answer in answers] == [row.id for row in TEST]
    assert {answer.answer for answer in answers} <= {row.reference for row in TRAIN}
    assert done(examination).done == 7


def test_the_context_is_what_the_model_has_positions_for():
    assert context_tokens(a_model()) == 256


class Peer:
    """One of two processes; what the other does meanwhile is done when they meet."""

    world = 2

    def __init__(self, rank, meanwhile=lambda: None):
        self.rank = rank
        self.meanwhile = meanwhile

    def meet(self, _place):
        self.meanwhile()


def test_two_processes_answer_each_batch_once_and_both_have_all_answers(examine, answered):
    alone = answer_arm("ZeroShot", a_model(), examine(generation="sha256:" + "00" * 32))
    answered.clear()
    second = replace(examine(), peers=Peer(1))
    others = []

    def late():  # when it looks, the first process has finished its batches
        others.extend(answer_arm("ZeroShot", a_model(), second))

    first = replace(examine(), peers=Peer(0, late))
    assert answer_arm("ZeroShot", a_model(), first) == alone == others
    assert sorted(answered) == [1, 3, 3]
    assert [(done(each).done, done(each).total) for each in (first, second)] == [(7, 7), (7, 7)]


def test_an_answer_that_a_peer_did_not_leave_is_asked_for_again(examine):
    first = replace(examine(), peers=Peer(0))
    with pytest.raises(StageError, match="run again") as caught:
        answer_arm("ZeroShot", a_model(), first)
    assert caught.value.failure is FailureClass.UNAVAILABLE
