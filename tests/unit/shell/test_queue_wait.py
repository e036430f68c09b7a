"""How long a run waited in line, as a scrape tells it."""

from types import SimpleNamespace

import pytest
from builders.scraped import a_job_that, value

from controller.api.status import FineTuneJobStatus, RunStatus
from controller.shell.metrics import Metrics


@pytest.fixture
def clock():
    """Seconds that pass when they are told to."""
    return SimpleNamespace(now=100.0)


def a_queued_job():
    return a_job_that(phase="Queued")


def a_started_job():
    return a_job_that(phase="Pending", run=RunStatus(number=1))


def queue_wait(metrics):
    name = "tunekeeper_run_queue_seconds"
    return value(metrics, f"{name}_count"), value(metrics, f"{name}_sum")


def test_the_time_of_a_run_in_line_for_a_slot_is_measured(clock):
    metrics = Metrics(clock=lambda: clock.now)
    for _ in range(2):  # seen again with another position: it has waited all the time
        metrics.published(a_queued_job())
        clock.now += 30
    metrics.published(a_started_job())
    metrics.changed(a_started_job(), a_queued_job().status)
    assert queue_wait(metrics) == (1, 60)
    metrics.changed(a_started_job(), a_started_job().status)
    assert queue_wait(metrics) == (1, 60)


def test_a_run_that_did_not_wait_counts_as_no_wait(clock):
    metrics = Metrics(clock=lambda: clock.now)
    metrics.changed(a_started_job(), FineTuneJobStatus())
    assert queue_wait(metrics) == (1, 0)


@pytest.mark.parametrize("end", ["forgotten", "leading", "suspended"])
def test_a_wait_that_ended_without_a_run_is_no_wait_of_one(clock, end):
    metrics = Metrics(clock=lambda: clock.now)
    metrics.published(a_queued_job())
    clock.now += 30
    if end == "forgotten":
        metrics.forgotten("ml", "intents")
    elif end == "leading":
        metrics.leading(False)
    else:
        metrics.changed(a_job_that(phase="Suspended"), a_queued_job().status)
    metrics.changed(a_started_job(), FineTuneJobStatus())
    assert queue_wait(metrics) == (1, 0)
