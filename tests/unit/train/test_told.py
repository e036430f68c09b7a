"""What a real training tells for Prometheus while it works."""

import math

import pytest
from builders.training import Bench

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.train import loop
from trainer.train.flops import PEAK_ENV, told_peak


@pytest.fixture
def bench(tmp_path):
    """A clock that moves by a second whenever it is read."""
    seconds = iter(range(10**6))
    return Bench(tmp_path, clock=lambda: float(next(seconds)))


def test_a_training_tells_its_tokens_step_time_and_first_loss(bench, monkeypatch):
    monkeypatch.setenv(PEAK_ENV, "1e12")
    trained = bench.run()
    told = bench.progress.figures()
    read = 3 * sum(len(row.input_ids) for row in bench.train)
    assert told["tokens"] % sum(len(row.input_ids) for row in bench.train) == 0
    assert 0 < told["tokens"] <= read * 10
    assert told["step_seconds"] > 0
    assert told["initial_loss"] > trained.summary.overfitting.train_loss
    assert (told["gpu_memory_bytes"], told["gpu_memory_peak_bytes"]) == (0, 0)
    assert 0 < bench.progress.snapshot().mfu < 1


def test_a_checkpoint_is_due_only_while_it_trains(bench, monkeypatch):
    ages = []
    before = loop.Training.step

    def step(training):
        ages.append(bench.progress.checkpoint_age_s())
        before(training)

    monkeypatch.setattr(loop.Training, "step", step)
    bench.run()
    assert None not in ages
    assert bench.progress.checkpoint_age_s() is None


def test_a_checkpoint_that_was_written_is_young_again(tmp_path, monkeypatch):
    seconds, ages = iter(range(10**6)), []
    spec = {"training": {"checkpointPeriodSeconds": 1}}
    bench = Bench(tmp_path, spec, clock=lambda: float(next(seconds)))
    before = loop.Training.step

    def step(training):
        ages.append(bench.progress.checkpoint_age_s())
        before(training)

    monkeypatch.setattr(loop.Training, "step", step)
    bench.run()
    assert max(ages[2:]) < ages[0] + 60 < seconds.__next__() / 2


def test_a_loss_that_is_no_number_can_be_scraped_while_the_stage_ends(bench, monkeypatch):
    loss_sum = loop.loss_sum
    monkeypatch.setattr(loop, "loss_sum", lambda *given: loss_sum(*given) * math.nan)
    with pytest.raises(StageError) as caught:
        bench.run()
    assert caught.value.failure is FailureClass.DIVERGED
    assert math.isnan(bench.progress.snapshot().train_loss)


@pytest.mark.parametrize(("text", "peak"), [("", None), ("989e12", 989e12)])
def test_a_peak_is_told_by_the_environment(text, peak):
    assert told_peak({PEAK_ENV: text}) == peak


@pytest.mark.parametrize("text", ["fast", "-1", "0", "inf", "nan"])
def test_a_peak_that_is_none_is_refused_with_what_was_written(text):
    with pytest.raises(StageError, match=repr(text)) as caught:
        told_peak({PEAK_ENV: text})
    assert caught.value.failure is FailureClass.INVALID_SPEC
