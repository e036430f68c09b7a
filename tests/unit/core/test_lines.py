"""What a job waits for, without limit and without an attempt; and its place in the line."""

from dataclasses import replace

import pytest
from builders.jobs import Scene, a_job

from controller.api.conditions import ConditionType
from controller.core.conditions import find
from controller.core.failures import RULES
from controller.core.gate import KEPT_ATTEMPTS, shown_position
from controller.core.observed import Settings
from trainer.contract.failures import FailureClass
from trainer.contract.progress import Progress
from trainer.contract.request import Stage


def said(scene: Scene) -> tuple[str, str]:
    """Phase, and the reason that its conditions give."""
    found = find(scene.job.status.conditions, ConditionType.FINISHED)
    assert found is not None
    return scene.job.status.phase, found.reason.value


def message(scene: Scene) -> str:
    found = find(scene.job.status.conditions, ConditionType.FINISHED)
    assert found is not None
    return found.message


def test_a_missing_secret_is_waited_for_with_growing_pauses_and_no_limit() -> None:
    scene = Scene(job=a_job(retry={"maxAttempts": 2})).settled()
    pauses, warnings = [], 0
    for _ in range(9):
        scene = scene.failed(FailureClass.SECRET_NOT_FOUND)
        warnings += len(scene.decided().events)
        scene = scene.settled()
        assert said(scene) == ("Pending", "SecretNotFound")
        pauses.append(scene.decided().requeue_after_s)
        scene = scene.passed(pauses[-1] or 0).settled()
        assert said(scene) == ("Pending", "SecretNotFound")
    assert pauses == [10, 20, 40, 80, 160, 320, 600, 600, 600]
    assert warnings == 1
    assert "because; create the Secret" in message(scene)
    healed = scene.succeeded().settled()
    assert said(healed) == ("Running", "Training")
    assert healed.job.status.run is not None
    assert healed.job.status.run.waits == 0


WAITS = [FailureClass.SECRET_NOT_FOUND, FailureClass.ACCESS_DENIED, FailureClass.NOT_FOUND]


@pytest.mark.parametrize("failure", WAITS)
@pytest.mark.parametrize("stage", [Stage.PREPARE, Stage.TRAIN, Stage.JUDGE], ids=str)
def test_what_may_be_mended_outside_the_spec_is_tried_again_without_limit(
    failure: FailureClass, stage: Stage
) -> None:
    scene = Scene(job=a_job(retry={"maxAttempts": 1})).settled()
    while scene.live.stage is not stage:
        scene = scene.succeeded().settled()
    for _ in range(5):
        scene = scene.failed(failure).settled()
        assert said(scene) == ("Pending", failure.value)
        run = scene.job.status.run
        assert run is not None
        assert run.not_before is not None
        scene = replace(scene, now=run.not_before).settled()
    assert "because; " in message(scene)
    assert RULES[failure].remedy in message(scene)
    assert "tried again by itself, next at status.run.notBefore" in message(scene)
    assert scene.succeeded().settled().job.status.phase in ("Running", "Succeeded")


@pytest.mark.parametrize("failure", WAITS)
def test_a_command_says_once_what_is_missing_and_ends(failure: FailureClass) -> None:
    scene = Scene(settings=Settings(waits_heal=False)).settled().failed(failure).settled()
    assert said(scene) == ("Failed", failure.value)
    assert message(scene) == "prepare: because"


def test_what_was_given_up_says_how_to_start_again() -> None:
    scene = Scene(job=a_job(retry={"maxAttempts": 2})).settled()
    for _ in range(2):
        scene = scene.failed(FailureClass.UNAVAILABLE).settled().passed(3600).settled()
    assert said(scene) == ("Failed", "Unavailable")
    assert message(scene) == (
        "prepare: because; given up after 2 attempts that count (spec.retry.maxAttempts); a changed"
        " spec, or a new value of the annotation tunekeeper.dev/rerun, starts again"
    )
    assert said(scene.annotated(rerun="now").settled()) == ("Running", "Preparing")
    more = scene.edited(retry={"maxAttempts": 3}).settled()
    assert said(more) == ("Running", "Preparing")
    local = Scene(settings=Settings(waits_heal=False), job=a_job(retry={"maxAttempts": 1}))
    assert message(local.settled().failed(FailureClass.UNAVAILABLE).settled()) == "prepare: because"


def test_a_missing_secret_uses_up_no_attempt() -> None:
    scene = Scene(job=a_job(retry={"maxAttempts": 2})).settled()
    for failure in (FailureClass.SECRET_NOT_FOUND, FailureClass.UNAVAILABLE):
        scene = scene.failed(failure).settled().passed(3600).settled()
    assert said(scene) == ("Running", "Preparing")
    assert said(scene.failed(FailureClass.UNAVAILABLE).settled()) == ("Failed", "Unavailable")


def test_a_stage_that_waited_and_now_works_is_running() -> None:
    scene = Scene().settled().failed(FailureClass.SECRET_NOT_FOUND).settled().passed(10).settled()
    child = scene.live
    progress = Progress(uid="u", run=1, stage=child.stage, attempt=2, percent=3.0)
    working = scene.reporting(progress=progress).settled()
    assert said(working) == ("Running", "Preparing")


def test_a_corrected_spec_does_not_wait_for_the_pause() -> None:
    scene = Scene().settled().failed(FailureClass.SECRET_NOT_FOUND).settled()
    output = {"uri": "file:///out/intents", "storage": {"secretRef": {"name": "other"}}}
    assert scene.edited(output=output).settled().live.name.endswith("r1-prepare-2")


def test_a_command_does_not_wait_for_what_only_the_user_can_bring() -> None:
    scene = Scene(settings=Settings(waits_heal=False)).settled()
    assert said(scene.failed(FailureClass.SECRET_NOT_FOUND).settled()) == (
        "Failed",
        "SecretNotFound",
    )


def test_old_attempts_of_a_long_wait_are_deleted_once_the_status_knows_their_end() -> None:
    scene = Scene().settled()
    for _ in range(12):
        scene = scene.failed(FailureClass.SECRET_NOT_FOUND).settled().passed(600).settled()
    assert len(scene.children) == KEPT_ATTEMPTS
    assert scene.live.attempt == 13


def test_new_work_waits_in_line_and_says_where() -> None:
    queued = replace(Scene(), queue_position=3).settled()
    assert said(queued) == ("Queued", "Queued")
    assert message(queued).startswith("position 3 ")
    assert (queued.job.status.run, queued.children) == (None, ())
    assert said(replace(queued, queue_position=0).settled()) == ("Running", "Preparing")


def test_what_is_alive_is_in_no_line() -> None:
    scene = Scene().settled()
    assert replace(scene, queue_position=5).decided() == scene.decided()


def test_a_resumed_run_stands_in_line_and_goes_on_where_it_was() -> None:
    held = Scene().settled().succeeded().settled().edited(suspend=True).settled()
    held = held.failed(FailureClass.INTERRUPTED, checkpoint_step=7).settled()
    assert said(held) == ("Suspended", "Suspended")
    resumed = replace(held.edited(suspend=False), queue_position=2).settled()
    assert said(resumed) == ("Queued", "Queued")
    assert not any(child.is_unfinished for child in resumed.children)
    run = resumed.job.status.run
    assert run is not None
    assert (run.number, run.checkpoint_step, run.end_time) == (1, 7, None)
    assert replace(resumed, queue_position=0).settled().live.name.endswith("r1-train-2")


def test_a_suspended_or_finished_object_is_never_queued() -> None:
    done = Scene().settled().succeeded().settled().succeeded().settled().succeeded().settled()
    assert replace(done, queue_position=1).decided() == done.decided()
    failed = Scene().settled().failed(FailureClass.INVALID_DATA).settled()
    assert replace(failed, queue_position=1).decided() == failed.decided()
    held = Scene().settled().edited(suspend=True).settled().vanished().settled()
    assert replace(held, queue_position=1).decided() == held.decided()


def test_one_more_stage_of_an_ended_run_waits_in_line() -> None:
    scene = Scene().settled().succeeded().settled().succeeded().settled().succeeded().settled()
    queued = replace(scene, queue_position=1)
    assert said(queued.settled()) == ("Succeeded", "Promote")
    again = queued.edited(evaluation={"minDelta": "0.1"}).settled()
    assert said(again) == ("Queued", "Queued")
    assert replace(again, queue_position=0).settled().live.name.endswith("r1-judge-2")


def test_a_suspended_job_stands_in_no_line() -> None:
    scene = replace(Scene(job=a_job(suspend=True)), queue_position=2).settled()
    assert said(scene) == ("Suspended", "Suspended")


@pytest.mark.parametrize(
    ("position", "shown"),
    [(1, "1"), (20, "20"), (21, "20 or later"), (99, "90 or later"), (4321, "4000 or later")],
)
def test_a_far_position_is_coarse(position: int, shown: str) -> None:
    assert shown_position(position) == shown
