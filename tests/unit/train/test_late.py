"""The schedule of a GPU, on CPU tensors: batches ahead and figures late change no result."""

import json
import math

import pytest
import torch
from builders.fake_gpu import Slow, scheduled, waits_counted
from builders.rank_cases import SINGLE, WHOLE, a_training
from builders.training import RUN, Bench, StoppingAt

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.model.adapter import WEIGHTS
from trainer.model.hardware import Choices
from trainer.train.checkpoint import newest_checkpoint
from trainer.train.feed import ahead, feed, send
from trainer.train.late import Late
from trainer.train.loss import loss_sum
from trainer.train.optimizer import adamw
from trainer.train.ranks import ALONE


def result(trained):
    return (trained.adapter_dir / WEIGHTS).read_bytes(), trained.metrics_path.read_bytes()


def test_training_ahead_and_late_is_training_bit_for_bit(tmp_path, monkeypatch):
    plain = Bench(tmp_path / "plain").run()
    scheduled(monkeypatch)
    late = Bench(tmp_path / "late").run()
    assert result(late) == result(plain)
    assert late.summary.overfitting == plain.summary.overfitting


@pytest.mark.parametrize("stop", [2, 5])
def test_stopped_and_resumed_is_unbroken_when_figures_are_late(tmp_path, monkeypatch, stop):
    scheduled(monkeypatch)
    unbroken = Bench(tmp_path / "unbroken").run()
    broken = Bench(tmp_path / "broken")
    with pytest.raises(StageError):
        broken.run(stop=StoppingAt(stop))
    assert result(broken.run(epoch=2)) == result(unbroken)


def test_a_step_reads_the_figures_of_the_step_before_and_no_newer_ones(base_directory):
    training, slow = a_training(base_directory, ALONE, WHOLE), Slow()
    training.figures = Late(1, slow.fetch)
    training.step()
    assert training.train_loss is None
    training.step()
    assert slow.waits == [1]
    assert training.train_loss is not None
    training.settle()
    assert slow.waits == [1, 0]
    assert [json.loads(line)["step"] for line in training.metrics.splitlines()] == [1, 2]


@pytest.mark.parametrize("micro_tokens", [WHOLE, SINGLE], ids=["one batch", "many batches"])
def test_a_step_never_waits_for_the_device(base_directory, monkeypatch, micro_tokens):
    scheduled(monkeypatch)
    training = a_training(base_directory, ALONE, micro_tokens)
    training.optimizer = adamw(training.parameters, weight_decay=0.01)
    training.step()
    with waits_counted(monkeypatch) as waits:
        training.step()
        training.step()
    assert not waits


def test_padded_rows_make_transformers_look_at_their_mask(base_directory, monkeypatch):
    """Why packs matter; and that the count sees what it is to see."""
    scheduled(monkeypatch)
    training = a_training(base_directory, ALONE, WHOLE, packs=False)
    with waits_counted(monkeypatch) as waits:
        training.step()
    assert waits


def diverging_at(step, monkeypatch):
    """From this step on the loss is no number; evaluations see nothing of it."""
    steps = iter(range(1, 100))

    def loss(model, batch):
        value = loss_sum(model, batch)
        return value * math.nan if next(steps) >= step else value

    monkeypatch.setattr("trainer.train.loop.loss_sum", loss)


@pytest.mark.parametrize("late", [0, 1], ids=["a CPU", "a GPU"])
def test_no_checkpoint_is_written_of_a_step_that_was_no_number(tmp_path, monkeypatch, late):
    ticks = iter(range(100000))
    bench = Bench(tmp_path, {"training": {"checkpointPeriodSeconds": 1}}, validation=0)
    bench.clock = lambda: float(next(ticks))
    scheduled(monkeypatch, Choices(steps_late=late))
    diverging_at(3, monkeypatch)
    with pytest.raises(StageError, match="diverged at step 3 of") as caught:
        bench.run()
    assert caught.value.failure is FailureClass.DIVERGED
    kept, _ = newest_checkpoint(bench.store, RUN, fingerprint=bench.fingerprint())
    assert kept.state.step == 1  # the loss that was no number is of the adapter after step 2
    assert all(bool(tensor.isfinite().all()) for tensor in kept.adapter.values())


@pytest.mark.parametrize("ending", ["told to stop", "at the last step"])
def test_a_training_that_ends_has_looked_at_its_last_step(tmp_path, monkeypatch, ending):
    scheduled(monkeypatch)
    bench = Bench(tmp_path, {"training": {"maxSteps": 3}}, validation=0)
    diverging_at(3, monkeypatch)
    stop = StoppingAt(3) if ending == "told to stop" else None
    with pytest.raises(StageError, match="diverged at step 3 of"):
        bench.run(stop=stop)
    assert not list(bench.store.list(f"runs/{RUN}/"))


def test_waiting_for_the_device_counts_as_time_of_the_steps(base_directory):
    seconds, training = iter(range(1000)), a_training(base_directory, ALONE, WHOLE)
    training.figures = Late(1)
    training.step()
    training.clock = lambda: float(next(seconds))
    training.settle()
    assert training.state.step_seconds > 0
    before = training.state.step_seconds
    training.settle()
    assert training.state.step_seconds == before


ORDERS = [
    pytest.param(0, [0, "0 used", 1, "1 used", 2, "2 used"], id="one by one"),
    pytest.param(1, [0, 1, "0 used", 2, "1 used", "2 used"], id="one ahead"),
]


@pytest.mark.parametrize(("count", "order"), ORDERS)
def test_the_next_batch_leaves_before_the_one_before_is_computed(count, order):
    seen = []

    def items():
        for item in range(3):
            seen.append(item)
            yield item

    seen.extend(f"{item} used" for item in ahead(items(), count))
    assert seen == order


def test_every_tensor_of_a_batch_leaves_by_page_locked_memory(base_directory, monkeypatch):
    locked, copies = [], []
    batch = a_batch(base_directory)

    def to(tensor, device, *, non_blocking):
        copies.append((tensor, device.type, non_blocking))
        return torch.Tensor.clone(tensor)

    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda each: locked.append(each) or each)
    monkeypatch.setattr(torch.Tensor, "to", to)
    sent = send(batch, torch.device("cuda"), pinned=True)
    assert len(locked) == len(copies) >= 5
    assert {(device, waits_not) for _, device, waits_not in copies} == {("cuda", True)}
    assert sent.input_ids.equal(batch.input_ids)
    assert sent.data_tokens == batch.data_tokens


def a_batch(folder):
    corpus = a_training(folder, ALONE, WHOLE).train
    return next(iter(corpus.batches(range(4), WHOLE)))


def test_on_a_cpu_a_batch_is_handed_on_as_it_is(base_directory):
    batch = a_batch(base_directory)
    (fed,) = feed([batch], torch.device("cpu"), Choices())
    assert fed.input_ids is batch.input_ids


def test_a_checkpoint_has_the_metrics_of_all_steps_before_it(tmp_path, monkeypatch):
    scheduled(monkeypatch)
    bench = Bench(tmp_path, validation=0)
    with pytest.raises(StageError):
        bench.run(stop=StoppingAt(4))
    kept, _ = newest_checkpoint(bench.store, RUN, fingerprint=bench.fingerprint())
    assert len(kept.metrics.splitlines()) == kept.state.step == 4
