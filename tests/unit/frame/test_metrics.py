"""What a scrape of a stage says, and that it says nothing of who it is."""

import math

import pytest
from builders.requests import a_request, a_spec
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from trainer.contract.request import Stage
from trainer.metrics import GAUGES, StageMetrics, stage_registry
from trainer.progress import ProgressTracker
from trainer.pulse import Pulse
from trainer.watchdog import Standstill

KNOWN = {
    "eta_seconds": None,  # made from the pace
    "checkpoint_period_s": None,  # told beside the others
    "percent": None,
}


def scraped(tracker):
    text = generate_latest(stage_registry(tracker)).decode()
    families = text_string_to_metric_families(text)
    ours = [one for family in families for one in family.samples if "tunekeeper" in one.name]
    return {one.name.removeprefix("tunekeeper_trainer_"): one for one in ours}


@pytest.fixture
def tracker(tmp_path):
    return ProgressTracker(a_request(tmp_path))


def test_every_figure_that_training_tells_is_scraped(tracker):
    told = {field: n for n, (field, _) in enumerate(GAUGES.values()) if field not in KNOWN}
    tracker.measure(**told, tokens=99)
    found = scraped(tracker)
    names = {field: name for name, (field, _) in GAUGES.items()}
    assert {field: found[names[field]].value for field in told} == told
    assert found["tokens_total"].value == 99


def test_nothing_is_a_figure_too(tracker):
    tracker.measure(gpu_memory_bytes=0, tokens=0)
    assert scraped(tracker)["gpu_memory_bytes"].value == 0
    assert scraped(tracker)["tokens_total"].value == 0


def test_what_is_not_known_has_no_series(tracker):
    absent = {"train_loss_nats", "mfu_ratio", "tokens_total", "checkpoint_age_seconds", "activity"}
    assert not absent & scraped(tracker).keys()


def test_a_loss_that_is_no_number_is_scraped_as_what_it_is(tracker):
    tracker.measure(train_loss=math.nan)
    assert math.isnan(scraped(tracker)["train_loss_nats"].value)
    assert '"trainLoss":null' in tracker.snapshot().model_dump_json()


def test_no_series_says_whose_it_is(tracker):
    tracker.start("Tuned", 10)
    tracker.measure(step=1, tokens=5)
    labels = {label for sample in scraped(tracker).values() for label in sample.labels}
    assert labels == {"activity"}


def test_the_activity_is_the_newest(tracker):
    for name in ("ZeroShot", "training"):
        tracker.start(name, 10)
    assert scraped(tracker)["activity"].labels == {"activity": "training"}


def test_the_age_of_the_checkpoint_begins_anew_with_each_and_ends_with_the_training(tmp_path):
    now = [100.0]
    tracker = ProgressTracker(a_request(tmp_path), lambda: now[0])
    tracker.checkpoint(300)
    now[0] = 250
    assert scraped(tracker)["checkpoint_age_seconds"].value == 150
    assert scraped(tracker)["checkpoint_period_seconds"].value == 300
    tracker.checkpoint(300)
    assert scraped(tracker)["checkpoint_age_seconds"].value == 0
    tracker.checkpoint(None)
    assert not {"checkpoint_age_seconds", "checkpoint_period_seconds"} & scraped(tracker).keys()


def test_silence_is_told_beside_what_the_watchdog_allows(tracker):
    now, pulse = [0.0], Pulse()
    metrics = StageMetrics(tracker, Standstill(900, pulse), clock=lambda: now[0])

    def silence():
        return [
            sample.value
            for family in metrics.collect()
            for sample in family.samples
            if "_silence_" in sample.name
        ]

    assert silence() == [0, 900]
    now[0] = 40
    assert silence() == [40, 900]
    pulse.beat()
    with pulse.silent("loading", 2000):
        assert silence() == [0, 2000]


def test_the_limit_of_a_training_is_its_own(tmp_path):
    spec = a_spec(tmp_path, training={"stallSeconds": 120})
    tracker = ProgressTracker(a_request(tmp_path, Stage.TRAIN, spec=spec))
    assert scraped(tracker)["silence_limit_seconds"].value == 120


def test_the_process_tells_of_its_memory(tracker):
    assert b"process_resident_memory_bytes" in generate_latest(stage_registry(tracker))
