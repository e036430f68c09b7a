"""Clocks that jump by an hour, in both directions, and times that were written before."""

from dataclasses import replace
from datetime import timedelta

import pytest
from builders.jobs import Scene

from controller.api.conditions import ConditionType
from controller.core.children import ChildState
from controller.core.conditions import find
from controller.core.lost import LOOK_AGAIN_S
from trainer.contract.failures import FailureClass
from trainer.contract.progress import Progress

JUMPS = pytest.mark.parametrize("hours", [-1, 1], ids=["back", "ahead"])


def jumped(scene: Scene, hours: float) -> Scene:
    return replace(scene, now=scene.now + timedelta(hours=hours))


@JUMPS
def test_a_clock_that_jumps_holds_no_retry_for_an_hour(hours: int) -> None:
    scene = Scene().settled().crashed().settled()
    assert jumped(scene, hours).settled().live.name.endswith("prepare-2")


def test_a_small_step_of_a_clock_ends_no_pause() -> None:
    scene = Scene().settled().crashed().settled()
    scene = replace(scene, now=scene.now - timedelta(seconds=4))
    assert scene.decided().requeue_after_s == 14
    assert all(not child.is_unfinished for child in scene.settled().children)


@JUMPS
def test_what_waits_for_something_missing_is_not_held_either(hours: int) -> None:
    scene = Scene().settled().failed(FailureClass.SECRET_NOT_FOUND).settled()
    assert jumped(scene, hours).settled().live.name.endswith("prepare-2")


@JUMPS
def test_progress_shows_though_it_was_read_in_the_future(hours: int) -> None:
    scene = Scene().settled().succeeded().settled()
    live = scene.live
    told = Progress(
        uid=scene.job.metadata.uid, run=1, stage=live.stage, attempt=1, percent=5.0, step=5
    )
    shown = scene.reporting(progress=told).settled()
    later = jumped(shown, hours).reporting(progress=told.model_copy(update={"step": 6})).settled()
    assert later.job.status.progress is not None
    assert later.job.status.progress.step == 6


@JUMPS
def test_a_run_ends_as_it_would_have(hours: int) -> None:
    scene = jumped(Scene().settled().succeeded().settled(), hours).succeeded()
    scene = jumped(scene.settled(), -2 * hours).succeeded().settled()
    assert scene.job.status.phase == "Succeeded"
    found = find(scene.job.status.conditions, ConditionType.FINISHED)
    assert found is not None
    assert found.last_transition_time == scene.now
    assert jumped(scene, hours).decided().status == scene.job.status


@JUMPS
def test_a_pod_that_was_told_to_go_is_looked_at_again_in_time(hours: int) -> None:
    scene = Scene().settled()
    going = scene.reporting(state=ChildState.STOPPING, ends_by=scene.now + timedelta(seconds=120))
    decision = jumped(going, hours).decided()
    if hours > 0:
        assert decision.requeue_after_s is None
        assert [event.reason for event in decision.events] == ["NodeLost"]
    else:
        assert decision.requeue_after_s == LOOK_AGAIN_S
