"""A stage whose run has a limit: asked to stop when it is over, and failed by its class."""

import json
import math
import threading

import pytest
from builders.requests import a_request

from trainer import __main__ as command
from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.contract.limit import SoftLimit
from trainer.errors import StageError
from trainer.limit import TimeLimit

DEADLINE = SoftLimit(seconds=100, failure=FailureClass.DEADLINE_EXCEEDED)
BUDGET = SoftLimit(seconds=100, failure=FailureClass.BUDGET_EXCEEDED)


def a_limit(limit, stop=None, at=(0.0,)):
    times = iter(at)
    last = [0.0]

    def clock():
        last[0] = next(times, last[0])
        return last[0]

    return TimeLimit(limit, stop or threading.Event(), clock)


def test_what_is_left_counts_from_the_start():
    assert a_limit(DEADLINE, at=(50.0, 90.0)).left_s() == 60
    assert a_limit(DEADLINE, at=(50.0, 190.0)).left_s() == -40


def test_without_a_limit_there_is_always_more():
    assert a_limit(None).left_s() == math.inf


def failing(limit, error):
    """What comes of an error in a stage whose limit is over."""
    try:
        with limit.armed():
            limit.expire()
            raise error
    except StageError as told:
        return told


STOPPED = StageError(FailureClass.INTERRUPTED, "stopped while it worked")
NAMED = [
    pytest.param(DEADLINE, "spec.activeDeadlineSeconds left 100 s for it", id="the deadline"),
    pytest.param(BUDGET, "spec.budget.maxGpuSeconds left 100 s for it", id="the budget"),
]


@pytest.mark.parametrize(("soft", "words"), NAMED)
def test_a_stage_that_the_limit_stopped_fails_by_it(soft, words):
    error = failing(a_limit(soft), STOPPED)
    assert error.failure is soft.failure
    assert words in error.message


def test_a_signal_that_came_first_stays_the_reason():
    stop = threading.Event()
    stop.set()
    assert failing(a_limit(DEADLINE, stop), STOPPED).failure is FailureClass.INTERRUPTED


def test_another_failure_after_the_limit_keeps_its_class():
    denied = StageError(FailureClass.ACCESS_DENIED, "no")
    assert failing(a_limit(DEADLINE), denied).failure is FailureClass.ACCESS_DENIED


def test_a_limit_that_is_over_stops_the_stage_by_itself():
    stop = threading.Event()
    with a_limit(DEADLINE, stop, at=(0.0, 200.0)).armed():
        assert stop.wait(30)


def test_a_disarmed_limit_stops_nothing():
    stop = threading.Event()
    limit = a_limit(DEADLINE, stop, at=(0.0, 99.95))
    with limit.armed():
        limit.disarm()
        assert not stop.wait(0.2)


def test_prepare_ends_with_the_exit_code_of_its_limit(monkeypatch, tmp_path):
    request = a_request(tmp_path, limit={"seconds": 1, "failure": "DeadlineExceeded"})
    environ = {
        "TUNEKEEPER_REQUEST": request.model_dump_json(),
        "TUNEKEEPER_OUTCOME": str(tmp_path / "outcome"),
        "TUNEKEEPER_LISTEN": "127.0.0.1:0",
        "TUNEKEEPER_WORK": str(tmp_path / "work"),
        "TUNEKEEPER_CACHE": str(tmp_path / "cache"),
        "TUNEKEEPER_FILE_ROOT": str(tmp_path),
    }

    def work(context):
        assert context.stop.wait(30)
        raise STOPPED

    monkeypatch.setattr(command, "stage_function", lambda _stage: work)
    monkeypatch.setattr(command, "stop_on_signals", threading.Event)
    assert command.main(["prepare"], environ) == EXIT_CODES[FailureClass.DEADLINE_EXCEEDED]
    told = json.loads((tmp_path / "outcome").read_text().splitlines()[0])
    assert told["failure"] == "DeadlineExceeded"


def test_a_request_without_a_limit_is_written_as_before(tmp_path):
    assert "limit" not in a_request(tmp_path).model_dump(mode="json", exclude_none=True)
