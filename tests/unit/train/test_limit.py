"""Training under a limit: it ends in time, what it has is the result, and it can be trained on."""

import threading

import pytest
from builders.training import RUN, Bench, StoppingAt

from trainer.contract.failures import FailureClass
from trainer.contract.limit import PartialTraining, SoftLimit
from trainer.errors import StageError
from trainer.limit import TimeLimit
from trainer.model.adapter import WEIGHTS
from trainer.train.allowance import FLOOR_S, Allowance, evaluation_s
from trainer.train.checkpoint import newest_checkpoint

DEADLINE = FailureClass.DEADLINE_EXCEEDED


def an_allowance(asked: float, failure=DEADLINE, seconds=1000) -> Allowance:
    """Enough for so many actions: a second passes each time somebody looks."""
    looks = iter(range(100000))
    limit = TimeLimit(
        SoftLimit(seconds=seconds, failure=failure), threading.Event(), lambda: float(next(looks))
    )
    return Allowance(limit, seconds - asked)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def weights(trained):
    return (trained.adapter_dir / WEIGHTS).read_bytes()


def state_of(bench):
    checkpoint, _ = newest_checkpoint(bench.store, RUN, fingerprint=bench.fingerprint())
    return checkpoint and checkpoint.state


def test_training_ends_where_its_allowance_does_and_says_so(bench):
    trained = bench.run(allowance=an_allowance(5))
    partial = trained.summary.partial
    assert partial == PartialTraining(step=partial.step, max_steps=12, limit=DEADLINE)
    assert 0 < partial.step < 12
    assert trained.summary.overfitting.steps == partial.step
    assert partial.text == (
        f"training was ended by spec.activeDeadlineSeconds at step {partial.step} of 12"
    )


def test_a_training_that_comes_to_its_end_is_not_partial(bench):
    assert bench.run(allowance=an_allowance(1000)).summary.partial is None


def test_the_last_evaluation_is_made_whatever_is_left(bench):
    actions = 12 + 10 - 1  # every step and every evaluation but the last
    trained = bench.run(allowance=an_allowance(actions))
    assert trained.summary.partial is None
    assert Bench(bench.root / "less").run(allowance=an_allowance(actions - 1)).summary.partial


def test_the_result_is_the_best_adapter_that_was_evaluated(bench):
    trained = bench.run(allowance=an_allowance(6))
    figures = trained.summary.overfitting
    assert figures.best_validation_loss is not None
    assert 0 < figures.best_step <= figures.steps


def test_without_an_evaluation_the_result_is_the_newest_adapter(bench):
    """In the first epoch, before anything was evaluated."""
    trained = bench.run(allowance=an_allowance(1))
    figures = trained.summary.overfitting
    assert (figures.best_validation_loss, figures.best_step, figures.steps) == (None, 1, 1)
    assert trained.summary.partial.step == 1


LIMITS = [
    pytest.param(DEADLINE, "spec.activeDeadlineSeconds", id="deadline"),
    pytest.param(FailureClass.BUDGET_EXCEEDED, "spec.budget.maxGpuSeconds", id="budget"),
]


@pytest.mark.parametrize(("failure", "field"), LIMITS)
def test_with_no_time_for_one_step_training_fails_by_its_limit(bench, failure, field):
    with pytest.raises(StageError, match=field) as caught:
        bench.run(allowance=an_allowance(0, failure))
    assert caught.value.failure is failure


def test_a_partial_training_that_goes_on_is_the_unbroken_one_bit_for_bit(bench):
    unbroken = Bench(bench.root / "unbroken").run()
    first = bench.run(epoch=1, allowance=an_allowance(5))
    second = bench.run(epoch=2, allowance=an_allowance(4))
    whole = bench.run(epoch=3)
    assert 0 < first.summary.partial.step < second.summary.partial.step < 12
    assert weights(whole) == weights(unbroken)
    assert whole.metrics_path.read_bytes() == unbroken.metrics_path.read_bytes()


def test_what_an_earlier_attempt_trained_is_the_result_of_one_with_nothing_left(bench):
    with pytest.raises(StageError):
        bench.run(epoch=1, stop=StoppingAt(4))
    safe = state_of(bench).step
    trained = bench.run(epoch=2, allowance=an_allowance(0))
    assert trained.summary.partial.step == safe > 0


def test_a_signal_comes_before_the_limit(bench):
    with pytest.raises(StageError) as caught:
        bench.run(stop=StoppingAt(3), allowance=an_allowance(3))
    assert caught.value.failure is FailureClass.INTERRUPTED


def test_the_time_of_a_step_is_left_for_the_next_one(bench):
    times = iter(range(0, 10**7, 100))
    bench.clock = lambda: float(next(times))
    allowance = an_allowance(150)
    steps = bench.run(allowance=allowance).summary.partial.step
    assert steps == 1  # each took longer than the rest


def test_the_estimate_of_an_earlier_attempt_is_kept_for_one_that_timed_nothing(bench):
    known = an_allowance(5)
    bench.run(epoch=1, allowance=known)
    assert state_of(bench).evaluation_s == known.evaluation_s
    timed_nothing = Allowance(known.limit, FLOOR_S)
    again = bench.run(epoch=2, allowance=timed_nothing).summary.partial
    assert again.step == state_of(bench).step < 12


PARTS = [
    ("ZeroShot", "answers", 10.0),
    ("RetrievedFewShot", "answers", 30.0),
    ("training", "steps", 500.0),
    ("Tuned", "answers", 15.0),
    ("Forgetting", "chunks", 5.0),
]
ESTIMATES = [
    pytest.param({"ZeroShot": 100, "RetrievedFewShot": 300}, 200, id="at the pace of both"),
    pytest.param({"ZeroShot": 0.1, "RetrievedFewShot": 300}, 200, id="one was answered before"),
    pytest.param({"ZeroShot": 0.1}, FLOOR_S, id="nothing was timed"),
    pytest.param({}, FLOOR_S, id="there is no base arm"),
]


@pytest.mark.parametrize(("seconds", "expected"), ESTIMATES)
def test_the_evaluation_is_estimated_by_the_base_arms(seconds, expected):
    assert evaluation_s(PARTS, seconds) == pytest.approx(expected)
