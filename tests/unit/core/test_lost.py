"""What nobody sees end: a pod on a node that does not answer, a Job that others deleted."""

from datetime import timedelta

import pytest
from builders.jobs import START, Scene, a_job

from controller.api.reasons import Reason
from controller.core.actions import StartStage
from controller.core.children import ChildState, Ending
from controller.core.conditions import find
from controller.core.lost import LOST_AFTER

LATE_S = LOST_AFTER.total_seconds()
LOST = Ending(Reason.JOB_LOST, "its Job was deleted by somebody else")


def said(scene: Scene) -> tuple[str, str]:
    found = find(scene.job.status.conditions, "Finished")
    assert found is not None
    return scene.job.status.phase, found.reason.value


def cut_off(state: ChildState) -> Scene:
    """Its pod was told to end, and has to be gone in two minutes."""
    return Scene().settled().reporting(state=state, ends_by=START + timedelta(seconds=120))


@pytest.mark.parametrize("state", [ChildState.STOPPING, ChildState.RUNNING])
def test_a_pod_that_does_not_end_is_said_to_be_on_a_lost_node_once(state: ChildState) -> None:
    scene = cut_off(state).passed(120 + LATE_S - 1).settled()
    assert said(scene)[1] != "NodeLost"
    late = scene.passed(1)
    assert [event.reason for event in late.decided().events] == ["NodeLost"]
    late = late.settled()
    assert said(late) == ("Pending", "NodeLost")
    message = find(late.job.status.conditions, "Finished").message
    assert "delete the Node object" in message
    assert late.live.name in message
    assert late.passed(3600).decided().status == late.job.status
    assert late.decided().events == ()


@pytest.mark.parametrize("state", [ChildState.STOPPING, ChildState.RUNNING, ChildState.PENDING])
def test_it_is_looked_at_when_it_is_late_though_nothing_happens(state: ChildState) -> None:
    scene = cut_off(state).settled()
    assert said(scene)[1] == ("Stopping" if state is ChildState.STOPPING else "Preparing")
    assert scene.decided().requeue_after_s == 120 + LATE_S


@pytest.mark.parametrize("change", [{"lora": {"rank": 8}}, {"suspend": True}])
def test_nothing_starts_beside_a_pod_on_a_lost_node(change: dict) -> None:
    scene = cut_off(ChildState.STOPPING).passed(7200).edited(**change).settled()
    for _ in range(3):
        scene = scene.passed(7200).settled()
        assert [a for a in scene.decided().actions if isinstance(a, StartStage)] == []
    assert said(scene)[1] == ("Suspended" if "suspend" in change else "NodeLost")


def test_when_it_is_really_dead_the_next_attempt_begins_and_the_class_is_told() -> None:
    scene = cut_off(ChildState.RUNNING).passed(7200).settled()
    gone = Ending(Reason.NODE_LOST, "its node is gone")
    dead = scene.ended(scene.live, disruption=gone, ends_by=None)
    (event,) = [e for e in dead.decided().events if e.type == "Warning"]
    assert (event.reason, event.message) == ("NodeLost", "prepare: its node is gone")
    after = dead.settled().passed(60).settled()
    assert after.live.name.endswith("prepare-2")
    assert after.job.status.run.failures == 1


def test_a_job_that_others_deleted_costs_an_attempt_and_its_pause() -> None:
    scene = Scene().settled()
    lost = scene.ended(scene.live, disruption=LOST).settled()
    assert said(lost) == ("Pending", "JobLost")
    assert (lost.job.status.run.failures, lost.job.status.run.attempt) == (1, 2)
    assert lost.decided().requeue_after_s == 10
    assert lost.passed(10).settled().live.name.endswith("prepare-2")


def test_a_job_that_others_delete_again_and_again_is_given_up() -> None:
    scene = Scene(job=a_job(retry={"maxAttempts": 2})).settled()
    for _ in range(2):
        scene = scene.ended(scene.live, disruption=LOST).settled().passed(60).settled()
    assert said(scene) == ("Failed", "JobLost")


def test_a_stage_that_did_its_work_did_it_though_its_job_is_gone() -> None:
    assert said(Scene().settled().reporting(disruption=LOST).succeeded().settled()) == (
        "Running",
        "Training",
    )
