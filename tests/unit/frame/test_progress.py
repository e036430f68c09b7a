"""Percent and ETA cover the whole stage and are true after a resume."""

import pytest
from builders.requests import a_request

from trainer.progress import ProgressTracker

PARTS = [("ZeroShot", "answers", 1.0), ("training", "steps", 3.0)]


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tracker(tmp_path, clock):
    tracker = ProgressTracker(a_request(tmp_path), clock)
    tracker.plan(PARTS)
    return tracker


def test_percent_weighs_the_parts_by_their_estimated_work(tracker):
    tracker.start("ZeroShot", 10)
    tracker.advance(10)
    assert tracker.snapshot().percent == 25.0
    tracker.start("training", 100)
    tracker.advance(50)
    assert tracker.snapshot().percent == 62.5


def test_eta_extrapolates_the_pace_of_the_whole_stage(tracker, clock):
    tracker.start("ZeroShot", 10)
    clock.now_s = 20.0
    tracker.advance(10)
    assert tracker.snapshot().eta_seconds == 60.0


def test_eta_after_a_resume_counts_only_what_this_attempt_did(tracker, clock):
    tracker.start("training", 100, done=60)
    clock.now_s = 10.0
    tracker.advance(20)
    # 20 steps are 15 % of the stage in 10 s; the stage stands at 60 %, 40 % are to come
    assert tracker.snapshot().eta_seconds == pytest.approx(40 * 10 / 15)


def test_there_is_no_eta_before_anything_is_known(tracker):
    assert tracker.snapshot().eta_seconds is None
    tracker.start("training", 100)
    assert tracker.snapshot().eta_seconds is None


def test_a_part_that_ends_early_counts_as_whole(tracker):
    tracker.start("ZeroShot", 10)
    tracker.finish()
    tracker.start("training", 100)
    tracker.advance(30)
    tracker.finish()
    assert tracker.snapshot().percent == 100.0


def test_activities_are_listed_in_order_with_their_own_time(tracker, clock):
    tracker.start("ZeroShot", 10)
    clock.now_s = 5.0
    tracker.start("training", 100)
    clock.now_s = 7.0
    names = [(part.name, part.seconds) for part in tracker.snapshot().activities]
    assert names == [("ZeroShot", 5.0), ("training", 2.0)]


def test_figures_appear_in_the_snapshot(tracker):
    tracker.measure(step=3, max_steps=9, train_loss=0.5)
    snapshot = tracker.snapshot()
    assert (snapshot.step, snapshot.max_steps, snapshot.train_loss) == (3, 9, 0.5)
