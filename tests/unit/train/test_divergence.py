"""A training that went wrong ends at once, says why and where, and leaves only good checkpoints."""

import math

import pytest
import torch
from builders.training import RUN, Bench, StoppingAt, a_plan

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.model.adapter import trainable
from trainer.train import loop
from trainer.train.checkpoint import newest_checkpoint
from trainer.train.divergence import (
    PATIENCE,
    DivergedError,
    after_evaluation,
    after_step,
    exploded_above,
)
from trainer.train.loop import Training
from trainer.train.loss import loss_sum
from trainer.train.state import TrainState

NAN, INF = math.nan, math.inf
EVERY_STEP = {"training": {"checkpointPeriodSeconds": 1}}


def a_state(**fields):
    known = {"fingerprint": "", "precision": "FP32", "device": "cpu", "micro_tokens": 1}
    return TrainState(**known | {"max_steps": 9} | fields)


def looked(state, loss, norm=1.0):
    return after_step(state, state.step + 1, loss, norm, vocabulary=100, learning_rate=0.5)


@pytest.fixture
def bench(tmp_path):
    """A checkpoint after every action, and no evaluation that knows better."""
    bench = Bench(tmp_path, EVERY_STEP, validation=0)
    ticks = iter(range(0, 10**6, 2))
    bench.clock = lambda: float(next(ticks))
    return bench


def diverged(bench, *, epoch=1):
    with pytest.raises(StageError) as caught:
        bench.run(epoch=epoch)
    assert caught.value.failure is FailureClass.DIVERGED
    return caught.value


def kept(bench):
    keys = [entry.key for entry in bench.store.list(f"runs/{RUN}/")]
    return sorted({int(key.split("step-")[1][:8]) for key in keys if "/checkpoints/" in key})


def poisoned(monkeypatch, step, damage):
    """From that step's loss on; ``damage`` changes it."""
    training_of = {}
    before = Training._backward  # noqa: SLF001 - where a step begins

    def noted(self, *arguments):
        training_of["now"] = self
        return before(self, *arguments)

    def loss(model, batch):
        found = loss_sum(model, batch)
        return damage(found) if training_of["now"].state.step + 1 >= step else found

    monkeypatch.setattr(Training, "_backward", noted)
    monkeypatch.setattr(loop, "loss_sum", loss)


BAD_VALUES = [
    pytest.param((NAN, 1.0), "the loss is nan", id="the loss is no number"),
    pytest.param((INF, 1.0), "the loss is inf", id="the loss is infinite"),
    pytest.param((1.0, NAN), "the norm of the gradient is nan", id="the gradient is no number"),
    pytest.param((1.0, INF), "the norm of the gradient is inf", id="the gradient is infinite"),
]


@pytest.mark.parametrize(("values", "words"), BAD_VALUES)
def test_the_optimizer_never_sees_what_is_no_number(values, words):
    with pytest.raises(DivergedError, match=words) as caught:
        looked(a_state(step=4), *values)
    assert "at step 5 of 9" in caught.value.message
    assert "spec.training.learningRate (it is 0.5)" in caught.value.message


def test_a_validation_loss_that_is_no_number_ends_training():
    with pytest.raises(DivergedError, match="the evaluation after step 4 of 9") as caught:
        after_evaluation(a_state(step=4, good_step=3), NAN, learning_rate=0.5)
    assert caught.value.good_step == 3


def test_a_step_is_good_once_its_adapter_has_given_a_sound_loss():
    assert looked(a_state(step=4), 2.0)["good_step"] == 4
    assert after_evaluation(a_state(step=4), 2.0, learning_rate=1.0) == {"good_step": 4}


def test_the_adapter_that_gave_no_number_is_not_good_and_the_one_with_a_bad_gradient_is():
    for values, good in (((NAN, 1.0), 3), ((1.0, INF), 4)):
        with pytest.raises(DivergedError) as caught:
            looked(a_state(step=4, good_step=3), *values)
        assert caught.value.good_step == good


def steps(*losses):
    """The states after steps with these losses."""
    state = a_state()
    for number, loss in enumerate(losses):
        state = state.model_copy(update={"step": number})
        state = state.model_copy(update=looked(state, loss))
    return state


def test_a_loss_that_has_exploded_for_some_steps_ends_training():
    high = exploded_above(2.0, 100) + 0.1
    assert steps(2.0, *[high] * (PATIENCE - 1)).exploded == PATIENCE - 1
    with pytest.raises(DivergedError, match=rf"was above 4.14 for {PATIENCE} steps") as caught:
        steps(2.0, 1.5, *[high] * PATIENCE)
    assert caught.value.good_step == 1  # the adapter after the second step gave the first high loss


def test_a_spike_that_is_over_ends_nothing():
    high = exploded_above(2.0, 100) + 0.1
    assert steps(2.0, *([high] * (PATIENCE - 1) + [2.0]) * 3).exploded == 0


HEALTHY = [
    pytest.param([2.0] * 9, id="it does not fall"),
    pytest.param([0.01, *[1.5] * 8], id="the first batch was an easy one"),
    pytest.param([9.0, *[12.0] * 8], id="it began worse than guessing"),
]


@pytest.mark.parametrize("losses", HEALTHY)
def test_a_training_that_is_only_bad_goes_on(losses):
    assert steps(*losses).exploded == 0


def test_the_checkpoint_whose_adapter_gave_no_number_is_removed_and_the_good_one_kept(
    bench, monkeypatch
):
    poisoned(monkeypatch, 5, lambda loss: loss * NAN)
    error = diverged(bench)
    assert "at step 5 of 12: the loss is nan" in error.message
    assert error.message.endswith("the last good checkpoint is kept, of step 3")
    assert error.checkpoint_step == 3
    assert kept(bench) == [3]  # of step 4 nothing good is known


def test_the_checkpoint_before_a_gradient_that_is_no_number_is_kept(bench, monkeypatch):
    def damage(loss):
        loss.register_hook(lambda gradient: gradient * INF)
        return loss

    poisoned(monkeypatch, 5, damage)
    error = diverged(bench)
    assert "the norm of the gradient is" in error.message
    assert error.checkpoint_step == 4


def test_what_is_kept_has_only_numbers_and_can_be_gone_on_from(bench, monkeypatch):
    with monkeypatch.context() as patch:
        poisoned(patch, 5, lambda loss: loss * NAN)
        diverged(bench)
    found, _ = newest_checkpoint(bench.store, RUN, fingerprint=bench.fingerprint())
    tensors = [*found.adapter.values(), *found.optimizer.values()]
    assert all(torch.isfinite(each).all() for each in tensors)
    trained = bench.run(epoch=2)
    assert any("from the checkpoint of step 3" in note for note in trained.notes)
    assert trained.summary.partial is None


def test_an_explosion_keeps_the_checkpoint_from_before_it(bench, monkeypatch):
    poisoned(monkeypatch, 5, lambda loss: loss * 1000)
    error = diverged(bench)
    assert "at step 7 of 12" in error.message
    assert error.checkpoint_step == 3
    assert kept(bench) == [3]


def test_a_real_training_whose_rate_is_far_too_high_is_ended(tmp_path):
    training = {"training": {"maxGradNorm": "0"}}
    error = diverged(Bench(tmp_path, training, a_plan(learningRate=30.0)))
    assert "of 12: the norm of the gradient is" in error.message
    assert error.message.endswith("no good checkpoint was there yet")


def test_a_checkpoint_of_other_settings_is_left_alone(bench, monkeypatch):
    with pytest.raises(StageError):
        bench.run(stop=StoppingAt(5))
    before = kept(bench)
    bench.plan = a_plan(learningRate=5e-3)
    poisoned(monkeypatch, 1, lambda loss: loss * NAN)
    assert diverged(bench, epoch=2).checkpoint_step == 0
    assert kept(bench) == before


ONE_OF_SEVERAL = [pytest.param(number, id=f"micro-batch {number}") for number in (0, 1, 2)]


@pytest.mark.parametrize("number", ONE_OF_SEVERAL)
def test_nan_in_one_micro_batch_is_not_averaged_away(bench, monkeypatch, number):
    """As other trainers do, whose filter of the log shows the mean of the rest."""
    asked = []

    def loss(model, batch):
        asked.append(batch)
        return loss_sum(model, batch) * (NAN if len(asked) == number + 1 else 1.0)

    monkeypatch.setattr("trainer.train.begin.micro_tokens", lambda _device, _prefix: 36)
    monkeypatch.setattr(loop, "loss_sum", loss)
    assert "at step 1 of 12: the loss is nan" in diverged(bench).message
    assert len(asked) > 2


def test_the_weights_are_untouched_by_a_step_that_is_no_number(bench, monkeypatch):
    poisoned(monkeypatch, 1, lambda loss: loss * NAN)
    diverged(bench)
    weights = trainable(bench.model).values()
    assert all(torch.isfinite(each).all() for each in weights)


def test_an_evaluation_that_is_no_number_removes_the_checkpoint_that_it_read(bench, monkeypatch):
    read = []

    def loss(model, batch):
        read.append(batch)
        return loss_sum(model, batch) * (NAN if len(read) == 3 else 1.0)

    monkeypatch.setattr("trainer.train.corpus.loss_sum", loss)
    bench.validation = 32
    error = diverged(bench)
    assert "the evaluation after step" in error.message
    step = int(error.message.partition("after step ")[2].split()[0])
    assert 0 < error.checkpoint_step < step
    assert kept(bench)[-1] == error.checkpoint_step
