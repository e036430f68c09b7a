"""A whole training on a tiny model: it learns, it can be stopped anywhere, and it goes on."""

import json

import pytest
import torch
from builders.training import RUN, Bench, StoppingAt, a_plan, prepared_rows

from trainer.contract.failures import FailureClass
from trainer.errors import FencedError, StageError
from trainer.model.adapter import WEIGHTS, adapter_digest
from trainer.report.model import LossPoint
from trainer.train.checkpoint import newest_checkpoint, remove_checkpoints
from trainer.train.loss import loss_sum


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def weights(trained):
    return (trained.adapter_dir / WEIGHTS).read_bytes()


def points(trained):
    lines = trained.metrics_path.read_text().splitlines()
    return [LossPoint.model_validate_json(line) for line in lines]


def stop_after(bench, actions, *, epoch):
    """Actions are steps and evaluations; after so many of them the process is told to end."""
    with pytest.raises(StageError) as caught:
        bench.run(epoch=epoch, stop=StoppingAt(actions))
    assert caught.value.failure is FailureClass.INTERRUPTED
    return caught.value


def checkpoint_files(bench):
    return [e.key for e in bench.store.list(f"runs/{RUN}/") if "/checkpoints/" in e.key]


def test_an_attempt_that_is_stopped_says_up_to_which_step_its_work_is_safe(bench):
    first = stop_after(bench, 3, epoch=1)
    later = stop_after(bench, 5, epoch=2)
    assert 0 < first.checkpoint_step < later.checkpoint_step


def test_training_lowers_the_loss_and_leaves_the_best_adapter(bench):
    trained = bench.run()
    losses = [point.eval_loss for point in points(trained) if point.eval_loss is not None]
    figures = trained.summary.overfitting
    assert min(losses) < 0.8 * losses[0]
    assert figures.best_validation_loss == min(losses)
    assert figures.last_validation_loss == losses[-1]
    assert figures.train_loss is not None
    assert trained.summary.trained_tokens == 3 * sum(len(row.input_ids) for row in bench.train)


def test_about_ten_evaluations_are_made_and_the_last_step_is_one(tmp_path):
    trained = Bench(tmp_path, plan=a_plan(batchTokens=40, epochs=1)).run()
    steps = [point.step for point in points(trained) if point.eval_loss is not None]
    assert len(steps) == 10
    assert steps[-1] == trained.summary.overfitting.steps


STOPS = [
    pytest.param([1], "0", id="in the first epoch"),
    pytest.param([6], "0.2", id="at the end of an epoch, before its evaluation, with dropout"),
    pytest.param([7, 9], "0.2", id="twice, with dropout"),
    pytest.param([0, 1, 1], "0", id="before every of the first steps"),
]


@pytest.mark.parametrize(("stops", "dropout"), STOPS)
def test_stopped_and_resumed_is_unbroken_bit_for_bit(tmp_path, stops, dropout):
    spec = {"lora": {"rank": 4, "alpha": 8, "dropout": dropout}}
    unbroken = Bench(tmp_path / "unbroken", spec).run()
    broken = Bench(tmp_path / "broken", spec)
    for epoch, actions in enumerate(stops, start=1):
        stop_after(broken, actions, epoch=epoch)
        torch.manual_seed(epoch)
    resumed = broken.run(epoch=len(stops) + 1)
    assert weights(resumed) == weights(unbroken)
    assert resumed.metrics_path.read_bytes() == unbroken.metrics_path.read_bytes()
    assert resumed.summary.overfitting == unbroken.summary.overfitting


DAMAGE = [
    pytest.param("adapter.safetensors", b"\0" * 64, id="weights of other bytes"),
    pytest.param("state.json", b"{}", id="a state cut to nothing"),
    pytest.param("manifest.json", b"{", id="a torn manifest"),
    pytest.param("optimizer.safetensors", None, id="a missing file"),
]


@pytest.mark.parametrize(("name", "content"), DAMAGE)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(bench, name, content):
    unbroken = Bench(bench.root / "unbroken").run()
    stop_after(bench, 4, epoch=1)
    stop_after(bench, 4, epoch=2)
    newest = max(key for key in checkpoint_files(bench) if key.endswith(name))
    bench.store.write(newest, content) if content else bench.store.delete(newest)
    resumed = bench.run(epoch=3)
    assert any("was not used" in note for note in resumed.notes)
    assert any("went on from" in note for note in resumed.notes)
    assert weights(resumed) == weights(unbroken)


def test_a_checkpoint_of_other_settings_is_not_gone_on_from(bench):
    stop_after(bench, 4, epoch=1)
    bench.plan = a_plan(learningRate=5e-3)
    notes = bench.run(epoch=2).notes
    assert any("belongs to other settings" in note for note in notes)
    assert not any("went on from" in note for note in notes)


def test_checkpoints_are_written_by_the_clock_and_two_are_kept(bench):
    ticks = iter(range(100000))
    bench.clock = lambda: float(next(ticks))
    bench.spec = {"training": {"checkpointPeriodSeconds": 1}}
    trained = bench.run()
    kept = {key.split("/")[-2] for key in checkpoint_files(bench)}
    last = trained.summary.overfitting.steps
    assert kept == {f"step-{step:08d}" for step in (last - 1, last)}


def test_after_publication_no_checkpoint_is_left(bench):
    stop_after(bench, 3, epoch=1)
    stop_after(bench, 3, epoch=2)
    remove_checkpoints(bench.store, RUN)
    assert not checkpoint_files(bench)


def test_a_fenced_attempt_writes_no_checkpoint(bench, monkeypatch):
    def fenced():
        raise FencedError("a newer attempt holds the claim")

    monkeypatch.setattr("builders.training.check_claim", fenced)
    with pytest.raises(FencedError):
        bench.run(stop=StoppingAt(2))
    assert not checkpoint_files(bench)


def test_divergence_fails_and_keeps_the_last_good_checkpoint(bench):
    stop_after(bench, 2, epoch=1)
    good = checkpoint_files(bench)
    training = {"maxGradNorm": "0", "checkpointPeriodSeconds": 1}
    bad = Bench(bench.root, {"training": training}, a_plan(learningRate=1e30))
    with pytest.raises(StageError, match="learningRate") as caught:
        bad.run(epoch=2)
    assert caught.value.failure is FailureClass.DIVERGED
    assert set(good) <= set(checkpoint_files(bench))


def test_training_stops_early_when_validation_loss_no_longer_falls(tmp_path):
    spec = {"training": {"earlyStopping": {"patience": 1, "minDelta": "100"}}}
    figures = Bench(tmp_path, spec, a_plan(batchTokens=40)).run().summary.overfitting
    assert figures.stopped_early
    assert figures.steps < 30


def test_few_validation_groups_stop_nothing_and_the_notes_say_so(tmp_path):
    spec = {"training": {"earlyStopping": {"patience": 1, "minDelta": "100"}}}
    trained = Bench(tmp_path, spec, validation=12).run()
    assert not trained.summary.overfitting.stopped_early
    assert any("12 validation groups" in note for note in trained.notes)


def test_without_validation_the_last_adapter_is_kept_and_the_notes_say_so(tmp_path):
    trained = Bench(tmp_path, validation=0).run()
    assert trained.summary.overfitting.best_validation_loss is None
    assert any("last adapter was kept" in note for note in trained.notes)


@pytest.mark.parametrize("variant", ["LoRA", "RSLoRA", "DoRA"])
def test_every_variant_learns(tmp_path, variant):
    trained = Bench(tmp_path, {"lora": {"rank": 4, "alpha": 8, "variant": variant}}).run()
    losses = [point.train_loss for point in points(trained) if point.train_loss is not None]
    assert losses[-1] < 0.8 * losses[0]
    config = json.loads((trained.adapter_dir / "adapter_config.json").read_text())
    assert (config["use_dora"], config["use_rslora"]) == (variant == "DoRA", variant == "RSLoRA")


def test_the_seed_decides_the_adapter(tmp_path):
    specs = [{"training": {"seed": seed}} for seed in (17, 17, 18)]
    digests = [
        adapter_digest(Bench(tmp_path / str(i), spec).run().adapter_dir)
        for i, spec in enumerate(specs)
    ]
    assert digests[0] == digests[1] != digests[2]


def test_rows_longer_than_a_micro_batch_are_trained_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.train.settings.MICRO_TOKENS", {"cpu": 24})
    rows = prepared_rows(12, seed=1, shared=40)
    trained = Bench(tmp_path, train=rows).run()
    assert trained.summary.trained_tokens == 3 * sum(len(row.input_ids) for row in rows)


def test_when_the_gpu_runs_out_of_memory_the_step_is_done_again_in_smaller_parts(bench):
    whole = bench.run().summary.overfitting.train_loss
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.train.loop.loss_sum", with_memory_for(60))
        small = Bench(bench.root / "small").run().summary.overfitting.train_loss
    assert small == pytest.approx(whole, rel=1e-3)


def test_a_row_that_the_gpu_cannot_hold_fails_with_the_remedy(bench, monkeypatch):
    monkeypatch.setattr("trainer.train.loop.loss_sum", with_memory_for(8))
    with pytest.raises(StageError, match="maxSequenceTokens") as caught:
        bench.run()
    assert caught.value.failure is FailureClass.GPU_OUT_OF_MEMORY


def with_memory_for(tokens):
    """The loss on a GPU that holds so many tokens."""

    def loss_or_out_of_memory(model, batch):
        if batch.input_ids.numel() > tokens:
            raise torch.OutOfMemoryError
        return loss_sum(model, batch)

    return loss_or_out_of_memory


def test_progress_of_a_resumed_training_counts_from_where_it_stood(bench):
    stop_after(bench, 5, epoch=1)
    checkpoint, _ = newest_checkpoint(bench.store, RUN, fingerprint=bench.fingerprint())
    bench.run(epoch=2)
    activity = bench.progress.snapshot().activities[0]
    steps = checkpoint.state.max_steps
    assert activity.done == activity.total == steps
    assert 0 < checkpoint.state.step < steps
