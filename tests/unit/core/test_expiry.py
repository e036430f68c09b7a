"""Jobs of runs that ended are deleted in time, and nothing before its end is known."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from builders.jobs import START, Scene, a_job

from controller.core.actions import StopStage
from controller.core.children import ChildState
from trainer.contract.failures import FailureClass

DAY_S = 86400
TTL_S = 3600


def done(**spec: Any) -> Scene:
    """A job whose first run was judged, all at one moment."""
    job = a_job(**{"ttlSecondsAfterFinished": TTL_S, **spec})
    return Scene(job=job).run_through()


def names(scene: Scene) -> list[str]:
    return [child.name.split("-", 2)[2] for child in scene.children]


def dropped(scene: Scene) -> list[str]:
    stops = [a for a in scene.decided().actions if isinstance(a, StopStage)]
    return [stop.name.split("-", 2)[2] for stop in stops]


def numbers(scene: Scene) -> list[int]:
    return [entry.run for entry in scene.job.status.history]


@pytest.mark.parametrize("left_s", [1, 0.001])
def test_the_jobs_of_a_run_stay_until_exactly_then(left_s: float) -> None:
    early = done().passed(TTL_S - left_s)
    assert early.decided().actions == ()
    assert early.decided().requeue_after_s == pytest.approx(left_s)
    assert early.decided().status == early.job.status
    assert dropped(early.passed(left_s)) == ["r1-prepare-1", "r1-train-1", "r1-judge-1"]


def test_after_that_nothing_is_left_and_nothing_moves() -> None:
    scene = done().passed(TTL_S).settled()
    assert scene.children == ()
    later = scene.passed(100 * DAY_S).decided()
    assert (later.status, later.events, later.actions) == (scene.job.status, (), ())
    assert later.requeue_after_s is None


def test_it_is_a_day_where_nobody_says_otherwise() -> None:
    scene = Scene().run_through()
    assert scene.decided().requeue_after_s == DAY_S


def test_a_longer_time_counts_at_once_and_a_shorter_one_too() -> None:
    scene = done().passed(TTL_S)
    assert dropped(scene.edited(ttlSecondsAfterFinished=2 * TTL_S)) == []
    assert len(dropped(done().passed(600).edited(ttlSecondsAfterFinished=600))) == 3


def test_a_time_that_no_calendar_has_is_no_error() -> None:
    scene = done(ttlSecondsAfterFinished=10**15)
    assert scene.decided().requeue_after_s == 10 * 365 * DAY_S


def test_jobs_of_a_run_under_way_stay_however_old_they_are() -> None:
    scene = Scene(job=a_job(ttlSecondsAfterFinished=600)).settled().succeeded().settled()
    scene = scene.passed(30 * DAY_S)
    assert (dropped(scene), scene.decided().requeue_after_s) == ([], None)


def test_an_end_that_the_stored_status_does_not_know_is_never_deleted() -> None:
    """The judge has spoken, and nobody has written it down yet."""
    scene = Scene(job=a_job(ttlSecondsAfterFinished=600))
    scene = scene.settled().succeeded().settled().succeeded().settled().succeeded()
    late = scene.passed(30 * DAY_S)
    assert dropped(late) == []
    assert dropped(late.settled()) == []
    assert late.settled().job.status.phase == "Succeeded"


def test_an_attempt_that_the_status_does_not_record_is_never_deleted() -> None:
    scene = done()
    stray = replace(scene.children[1], name="intents-x-r1-train-9", attempt=9)
    late = replace(scene, children=(*scene.children, stray)).passed(30 * DAY_S)
    assert "r1-train-9" not in dropped(late)


def test_with_a_wiped_status_nothing_is_deleted() -> None:
    wiped = replace(done(), job=a_job()).passed(30 * DAY_S)
    assert dropped(wiped) == []


def test_a_job_whose_pod_is_still_alive_is_not_deleted() -> None:
    scene = done()
    alive = replace(scene.children[1], state=ChildState.STOPPING)
    late = replace(scene, children=(alive,)).passed(30 * DAY_S)
    assert dropped(late) == []


def test_a_job_that_ended_after_its_run_stays_as_long_after_its_own_end() -> None:
    scene = done()
    late = replace(scene.children[1], finished=START + timedelta(seconds=100))
    scene = replace(scene, children=(late,)).passed(TTL_S)
    assert (dropped(scene), scene.decided().requeue_after_s) == ([], 100)


def test_jobs_of_an_earlier_run_go_in_their_time_while_the_next_one_runs() -> None:
    scene = done().passed(60).edited(lora={"rank": 8}).settled()
    assert scene.live.name.endswith("r2-prepare-1")
    assert scene.decided().requeue_after_s == TTL_S - 60
    assert names(scene.passed(TTL_S - 60).settled()) == ["r2-prepare-1"]


def test_jobs_of_a_superseded_run_go_after_their_own_end() -> None:
    scene = Scene(job=a_job(ttlSecondsAfterFinished=600)).settled().succeeded().settled()
    scene = scene.edited(lora={"rank": 8}).settled().passed(100)
    scene = scene.failed(FailureClass.INTERRUPTED).settled()
    assert names(scene) == ["r1-prepare-1", "r1-train-1", "r2-prepare-1"]
    assert names(scene.passed(500).settled()) == ["r1-train-1", "r2-prepare-1"]
    assert names(scene.passed(600).settled()) == ["r2-prepare-1"]


def test_a_run_without_its_jobs_is_judged_again_under_a_new_attempt() -> None:
    scene = done().passed(TTL_S).settled().edited(evaluation={"minDelta": "0.1"}).settled()
    assert names(scene) == ["r1-judge-2"]


@pytest.mark.parametrize(
    "spec",
    [{"suspend": True}, {"quantization": "NF4"}],
    ids=["suspended", "refused"],
)
def test_jobs_go_in_their_time_whatever_the_spec_says_now(spec: dict) -> None:
    scene = done().edited(**spec).settled().passed(TTL_S)
    assert len(dropped(scene)) == 3


def run_three_times(**spec: Any) -> Scene:
    scene = done(**spec)
    for value in ("a", "b"):
        scene = scene.annotated(rerun=value).run_through()
    return scene


@pytest.mark.parametrize(("limit", "kept"), [(10, [1, 2, 3]), (3, [1, 2, 3]), (1, [3]), (0, [])])
def test_the_history_keeps_the_newest_within_its_limit(limit: int, kept: list[int]) -> None:
    assert numbers(run_three_times(historyLimit=limit)) == kept


@pytest.mark.parametrize(("limit", "kept"), [(2, [2, 3]), (0, [])])
def test_a_lowered_limit_counts_at_rest_too(limit: int, kept: list[int]) -> None:
    before = run_three_times()
    after = before.edited(historyLimit=limit).settled()
    assert numbers(after) == kept
    assert after.children == before.children
    assert after.job.status.phase == "Succeeded"


def test_a_raised_limit_brings_nothing_back() -> None:
    scene = run_three_times(historyLimit=1).edited(historyLimit=10).settled()
    assert numbers(scene) == [3]


def test_what_the_history_has_forgotten_is_still_not_trained_twice() -> None:
    auto = {"retrain": {"policy": "Auto", "minPeriodSeconds": 0}, "historyLimit": 0}
    job = a_job(baseModel={"name": "smol"}, **auto)
    scene = Scene(job=job).moved("one").run_through().moved("two").run_through()
    back = scene.moved("one").settled()
    assert back.job.status.run is not None
    assert (back.job.status.run.number, back.job.status.history) == (2, [])
