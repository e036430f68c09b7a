"""Where other trainers go wrong when they go on: order, boundaries, moments, rate, noise, times."""

import pytest
import torch
from builders.training import RUN, Bench, StoppingAt, a_plan

from trainer.errors import StageError
from trainer.model.adapter import WEIGHTS
from trainer.report.model import LossPoint
from trainer.train.checkpoint import newest_checkpoint
from trainer.train.loop import Training
from trainer.train.loss import loss_sum

STEPS, PER_EPOCH = 12, 4
"""Of the bench's three epochs. Most steps are followed by an evaluation, an action of its own."""
AT_BOUNDARY = {"before its evaluation": 6, "after its evaluation": 7}


@pytest.fixture
def order(monkeypatch):
    """The rows of every optimizer step, in the order in which the steps are done."""
    steps: list[tuple[int, ...]] = []
    step = Training.step

    def noted(training):
        steps.append(training.steps[training.state.step].documents)
        step(training)

    monkeypatch.setattr(Training, "step", noted)
    return steps


def broken(bench, *actions):
    """Stopped after so many actions of each attempt, in a process whose generator is elsewhere."""
    for epoch, count in enumerate(actions, start=1):
        with pytest.raises(StageError, match="stopped at step"):
            bench.run(epoch=epoch, stop=StoppingAt(count))
        torch.manual_seed(1000 + epoch)
    return bench


def resumed(bench, *actions):
    return broken(bench, *actions).run(epoch=len(actions) + 1)


def unbroken_order(order, root):
    Bench(root / "unbroken").run()
    whole = list(order)
    order.clear()
    return whole


def test_a_later_epoch_goes_on_in_the_order_of_that_epoch(order, tmp_path):
    whole = unbroken_order(order, tmp_path)
    resumed(Bench(tmp_path / "broken"), 9)
    assert order == whole
    assert whole[PER_EPOCH : 2 * PER_EPOCH] != whole[:PER_EPOCH]


@pytest.mark.parametrize("actions", AT_BOUNDARY.values(), ids=AT_BOUNDARY)
def test_at_the_end_of_an_epoch_no_row_comes_twice_or_never(order, tmp_path, actions):
    bench = Bench(tmp_path)
    broken(bench, actions)
    assert len(order) == PER_EPOCH
    bench.run(epoch=2)
    for epoch in range(3):
        rows = [row for step in order[epoch * PER_EPOCH : (epoch + 1) * PER_EPOCH] for row in step]
        assert sorted(rows) == list(range(len(bench.train)))


def test_a_stop_loses_no_step_wherever_it_comes(order, tmp_path):
    whole = unbroken_order(order, tmp_path)
    resumed(Bench(tmp_path / "broken"), 0, 1, 1, 2, 3, 5, 0, 4)
    assert order == whole
    assert len(whole) == STEPS


def test_the_moments_of_the_optimizer_are_those_of_the_unbroken_training(tmp_path):
    benches = broken(Bench(tmp_path / "1"), 8), broken(Bench(tmp_path / "2"), 3, 5)
    whole, twice = (
        newest_checkpoint(bench.store, RUN, fingerprint=bench.fingerprint())[0] for bench in benches
    )
    assert whole.optimizer.keys() == twice.optimizer.keys()
    assert whole.optimizer.keys() != set()
    assert all(
        torch.equal(whole.optimizer[name], twice.optimizer[name]) for name in whole.optimizer
    )
    counts = [tensor.item() for name, tensor in twice.optimizer.items() if name.startswith("step.")]
    assert set(counts) == {whole.state.step}


@pytest.mark.parametrize("actions", [2, 9], ids=["while it warms up", "while it falls"])
def test_the_learning_rate_goes_on_where_it_was(tmp_path, actions):
    spec = {"training": {"warmupPercent": 40}}
    whole, again = Bench(tmp_path / "1", spec).run(), resumed(Bench(tmp_path / "2", spec), actions)
    rates = [[p.learning_rate for p in points(one) if p.learning_rate] for one in (whole, again)]
    assert rates[0] == rates[1]
    assert len(rates[0]) == STEPS


def test_noise_goes_on_where_it_was(tmp_path):
    spec = {"lora": {"rank": 4, "alpha": 8, "dropout": "0.3"}}
    whole, again = Bench(tmp_path / "1", spec).run(), resumed(Bench(tmp_path / "2", spec), 4, 6)
    assert [p.train_loss for p in points(whole)] == [p.train_loss for p in points(again)]
    assert (whole.adapter_dir / WEIGHTS).read_bytes() == (again.adapter_dir / WEIGHTS).read_bytes()


def points(trained):
    lines = trained.metrics_path.read_text().splitlines()
    return [LossPoint.model_validate_json(line) for line in lines]


class Timed:
    """A clock that only optimizer steps move; as a stop event it looks at the progress."""

    def __init__(self, root, monkeypatch) -> None:
        self.now_s, self.step_s, self.last = 0.0, 10.0, 10**6
        self.bench = Bench(root, clock=lambda: self.now_s)
        self.shown: list = []
        monkeypatch.setattr("trainer.train.loop.loss_sum", self.loss)

    def loss(self, model, batch):
        self.now_s += self.step_s
        return loss_sum(model, batch)

    def is_set(self) -> bool:
        self.shown.append(self.bench.progress.snapshot())
        return self.shown[-1].step >= self.last

    def stopped_at(self, step):
        self.last = step
        with pytest.raises(StageError, match=f"stopped at step {step}"):
            self.bench.run(epoch=1, stop=self)
        self.last, self.shown = 10**6, []

    def at(self, step):
        return next(shown for shown in self.shown if shown.step == step)


@pytest.fixture
def timed(tmp_path, monkeypatch):
    return Timed(tmp_path, monkeypatch)


def test_the_time_left_is_told_by_the_pace_of_this_attempt_alone(timed):
    timed.stopped_at(6)
    timed.now_s, timed.step_s = 5000.0, 2.0  # hours later, on a faster machine
    timed.bench.run(epoch=2, stop=timed)
    assert timed.at(9).eta_seconds == pytest.approx(3 * timed.step_s)
    assert timed.at(9).percent == 75.0


def test_tokens_per_second_do_not_count_an_earlier_attempts_tokens_in_this_ones_time(timed):
    timed.stopped_at(6)
    timed.now_s = 5000.0
    trained = timed.bench.run(epoch=2, stop=timed)
    tokens = 3 * sum(len(row.input_ids) for row in timed.bench.train)
    assert trained.summary.tokens_per_second == pytest.approx(tokens / STEPS / timed.step_s)
    assert timed.at(7).tokens_per_second == pytest.approx(tokens / STEPS / timed.step_s, rel=0.1)
    assert trained.summary.wall_seconds == STEPS * timed.step_s


def test_before_its_first_step_a_resumed_training_shows_where_it_stands(timed):
    timed.stopped_at(6)
    timed.bench.run(epoch=2, stop=timed)
    first = timed.shown[0]
    assert (first.step, first.max_steps, first.percent) == (6, STEPS, 50.0)
    assert first.eval_loss is not None


def test_a_checkpoint_is_never_written_over(tmp_path, monkeypatch):
    ticks = iter(range(10**6))
    spec = {"training": {"checkpointPeriodSeconds": 1}}
    bench = Bench(tmp_path, spec, clock=lambda: float(next(ticks)), plan=a_plan(epochs=1))
    written, write = [], bench.store.write
    monkeypatch.setattr(
        bench.store, "write", lambda key, data: (written.append(key), write(key, data))
    )
    broken(bench, 3)
    keys = [key for key in written if "/checkpoints/" in key]
    assert len(keys) == len(set(keys)) > 6
