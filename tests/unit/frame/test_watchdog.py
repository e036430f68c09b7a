"""A stage that stands still is ended, whatever it hangs in; one that works slowly is not."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from builders.requests import a_request, a_spec

from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.contract.request import Stage
from trainer.progress import ProgressTracker
from trainer.pulse import PULSE, Pulse
from trainer.watchdog import Standstill, message_of, stall_seconds, watch

ROOT = Path(__file__).parents[3]


def looked(still, *times):
    return [still.is_stalled(time) for time in times]


def test_it_stands_still_when_nothing_has_moved_for_so_long():
    still = Standstill(900, Pulse())
    assert looked(still, 1000, 1899, 1900) == [False, False, True]


def test_any_sign_of_life_starts_the_time_again():
    pulse = Pulse()
    still = Standstill(900, pulse)
    assert looked(still, 0, 899) == [False, False]
    pulse.beat()
    assert looked(still, 900, 1799, 1800) == [False, False, True]


def test_a_silent_part_may_take_as_long_as_it_said():
    pulse = Pulse()
    still = Standstill(30, pulse)
    with pulse.silent("loading", 900):
        assert looked(still, 0, 899) == [False, False]
    assert looked(still, 900, 929, 930) == [False, False, True]


SIGNS = [
    pytest.param(lambda tracker: tracker.start("a", 10), id="a part begins"),
    pytest.param(lambda tracker: tracker.advance(), id="a part moves"),
    pytest.param(lambda tracker: tracker.measure(step=1), id="a figure is new"),
    pytest.param(lambda tracker: tracker.finish(), id="a part ends"),
]


@pytest.mark.parametrize("sign", SIGNS)
def test_progress_is_a_sign_of_life(tmp_path, sign):
    tracker, before = ProgressTracker(a_request(tmp_path)), PULSE.count
    sign(tracker)
    assert PULSE.count == before + 1


def test_no_bytes_are_no_sign_of_life(tmp_path):
    tracker, before = ProgressTracker(a_request(tmp_path)), PULSE.count
    tracker.advance(0)
    assert PULSE.count == before


def test_training_has_its_own_patience_and_the_other_stages_the_usual(tmp_path):
    spec = a_spec(tmp_path, training={"stallSeconds": 45})
    found = {stage: stall_seconds(a_request(tmp_path, stage, spec=spec)) for stage in Stage}
    assert found == {**dict.fromkeys(Stage, 900), Stage.TRAIN: 45}


def test_the_message_says_what_it_was_at_and_which_setting_it_was(tmp_path):
    pulse = Pulse()
    pulse.beat("ZeroShot")
    said = message_of(a_request(tmp_path, Stage.TRAIN), Standstill(45, pulse))
    assert "no progress for 45 s (spec.training.stallSeconds) at 'ZeroShot'" in said


def test_it_is_ended_once_and_then_nobody_looks_any_more():
    times, ends = iter([0.0, 2.0, 4.0, 6.0]), []
    still = Standstill(0.01, Pulse())
    watch(still, threading.Event(), lambda: ends.append("ended"), lambda: next(times))
    assert ends == ["ended"]
    assert next(times) == 4.0


def process(tmp_path: Path, how: str) -> "subprocess.CompletedProcess[str]":
    """A real process that hangs; its watchdog waits for a second."""
    environ = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
        "TUNEKEEPER_REQUEST": a_request(tmp_path).model_dump_json(),
        "TUNEKEEPER_OUTCOME": str(tmp_path / "outcome"),
        "TUNEKEEPER_LISTEN": "127.0.0.1:0",
        "TUNEKEEPER_WORK": str(tmp_path / "work"),
        "TUNEKEEPER_CACHE": str(tmp_path / "cache"),
        "TUNEKEEPER_FILE_ROOT": str(tmp_path),
    }
    command = [sys.executable, "-m", "builders.standing_still", how, str(tmp_path / "began")]
    return subprocess.run(  # noqa: S603 - our own interpreter
        command, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_thread_that_hangs_in_c_code_is_ended_with_its_outcome_and_its_stack(tmp_path):
    ended = process(tmp_path, "free")
    told = json.loads((tmp_path / "outcome").read_text().splitlines()[0])
    assert ended.returncode == EXIT_CODES[FailureClass.NO_PROGRESS] == 22
    assert told["failure"] == "NoProgress"
    assert "prepare made no progress for 1 s at 'reading rows'" in told["message"]
    assert "in hang" in ended.stderr


def test_a_thread_that_hangs_with_the_interpreters_lock_is_ended_with_its_stack(tmp_path):
    ended = process(tmp_path, "held")
    assert ended.returncode == EXIT_CODES[FailureClass.UNEXPECTED]
    assert "in hang" in ended.stderr
    assert (tmp_path / "began").exists()


@pytest.mark.parametrize("how", ["beating", "silent"])
def test_a_slow_stage_that_gives_signs_of_life_is_left_to_work(tmp_path, how):
    ended = process(tmp_path, how)
    assert ended.returncode == 0, ended.stderr
