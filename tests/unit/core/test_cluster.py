"""What only a cluster does to a job: obstacles, waits, queues, disruptions, children that go."""

from dataclasses import replace

import pytest
from builders.jobs import DIGEST, SPEC, Scene, a_job

from controller.api.basemodel import BaseModelObject
from controller.api.conditions import ConditionType
from controller.api.reasons import Reason
from controller.api.status import Images
from controller.core.actions import Event, StartStage, StopStage
from controller.core.children import ChildState, Ending, Obstacle
from controller.core.conditions import find
from controller.core.decide import decide
from controller.core.observed import Settings
from trainer.contract.failures import FailureClass
from trainer.contract.outcome import Outcome

PREEMPTED = Ending(Reason.PREEMPTED, "preempted")
EVICTED = Ending(Reason.EVICTED, "evicted")
IMAGES = Images(cpu="registry/tunekeeper:1", trainer="registry/tunekeeper-trainer:1")


def said(scene: Scene) -> tuple[str, str]:
    """Phase, and the reason that its conditions give."""
    found = find(scene.job.status.conditions, ConditionType.FINISHED)
    assert found is not None
    return scene.job.status.phase, found.reason.value


def message(scene: Scene) -> str:
    found = find(scene.job.status.conditions, ConditionType.FINISHED)
    assert found is not None
    return found.message


def starts(scene: Scene) -> list[StartStage]:
    return [action for action in scene.decided().actions if isinstance(action, StartStage)]


OBSTACLES = [
    Reason.NAME_CONFLICT,
    Reason.QUOTA_EXCEEDED,
    Reason.ADMISSION_DENIED,
    Reason.IMAGE_PULL,
    Reason.UNSCHEDULABLE,
    Reason.STOPPING,
]


@pytest.mark.parametrize("reason", OBSTACLES)
def test_an_obstacle_shows_and_the_stage_is_asked_for_again_until_it_is_gone(
    reason: Reason,
) -> None:
    scene = Scene().stepped().hindered(reason, "Job x is in the way; delete it").settled()
    assert said(scene) == ("Pending", reason.value)
    assert message(scene) == "Job x is in the way; delete it"
    assert len(starts(scene)) == 1
    assert scene.decided().status == scene.job.status
    healed = scene.hindered(None).settled()
    assert said(healed) == ("Running", "Preparing")
    assert healed.live.name.endswith("r1-prepare-1")


def test_an_obstacle_is_told_once_until_its_reason_changes() -> None:
    scene = Scene().stepped().hindered(Reason.QUOTA_EXCEEDED, "5 of 5 pods")
    assert scene.decided().events == (Event("Warning", "QuotaExceeded", "5 of 5 pods"),)
    scene = scene.stepped().hindered(Reason.QUOTA_EXCEEDED, "6 of 6 pods")
    assert scene.decided().events == ()
    scene = scene.stepped().hindered(Reason.ADMISSION_DENIED, "no")
    assert scene.decided().events == (Event("Warning", "AdmissionDenied", "no"),)


def test_a_job_that_is_no_valid_job_stalls_until_the_spec_changes() -> None:
    scene = Scene().stepped().hindered(Reason.INVALID_SPEC, "spec.compute.podLabels").settled()
    assert said(scene) == ("Failed", "InvalidSpec")
    assert starts(scene) == []
    assert scene.passed(3600).decided().status == scene.job.status
    assert said(scene.edited(historyLimit=3).hindered(None).settled()) == ("Running", "Preparing")


@pytest.mark.parametrize(
    "reason",
    [Reason.IMAGE_PULL, Reason.UNSCHEDULABLE, Reason.QUOTA_EXCEEDED, Reason.ADMISSION_DENIED],
)
def test_a_pod_that_cannot_run_shows_why_while_it_cannot(reason: Reason) -> None:
    wait = Obstacle(reason, "because; do this")
    scene = Scene().settled()
    scene = scene.reporting(state=ChildState.PENDING, wait=wait)
    assert [event.reason for event in scene.decided().events] == [reason.value]
    scene = scene.settled()
    assert (said(scene), message(scene)) == (("Pending", reason.value), "because; do this")
    assert (scene.decided().events, scene.decided().actions) == ((), ())
    running = scene.reporting(state=ChildState.RUNNING, wait=None).settled()
    assert said(running) == ("Running", "Preparing")


def test_a_pod_that_is_only_pending_costs_no_write() -> None:
    scene = Scene().settled()
    assert scene.reporting(state=ChildState.PENDING).decided().status == scene.job.status


@pytest.mark.parametrize(
    ("fields", "failure", "words"),
    [
        pytest.param(
            {"disruption": PREEMPTED, "exit_code": 1},
            "Preempted",
            "preempted",
            id="a disruption is one whatever the exit code",
        ),
        pytest.param(
            {"disruption": EVICTED, "exit_code": 137},
            "Evicted",
            "evicted",
            id="an evicted pod that was killed has not run out of memory",
        ),
        pytest.param(
            {"ending": Ending(FailureClass.HOST_OUT_OF_MEMORY, "OOM"), "exit_code": 1},
            "HostOutOfMemory",
            "OOM",
            id="what the node says counts more than the exit code",
        ),
        pytest.param(
            {"ending": Ending(FailureClass.INTERRUPTED, "killed"), "exit_code": 137},
            "Interrupted",
            "killed",
            id="SIGKILL that was not for memory",
        ),
        pytest.param({"exit_code": None}, "Unexpected", "without an exit code", id="nothing known"),
    ],
)
def test_why_a_stage_ended_without_a_word(fields: dict, failure: str, words: str) -> None:
    scene = Scene(job=a_job(retry={"maxAttempts": 1})).settled()
    scene = scene.ended(scene.live, **fields).settled()
    assert said(scene) == ("Failed", failure)
    assert words in message(scene)


def test_an_interrupted_stage_says_who_took_its_pod() -> None:
    scene = Scene().settled()
    child = scene.live
    word = Outcome(
        stage=child.stage,
        uid=scene.job.metadata.uid,
        run=1,
        attempt=1,
        failure=FailureClass.INTERRUPTED,
        message="stopped at step 12",
    )
    scene = scene.ended(child, outcome=word, exit_code=23, disruption=EVICTED).settled()
    assert message(scene) == "prepare: evicted: stopped at step 12"


def test_a_stage_that_did_its_work_did_it_though_its_pod_was_disrupted() -> None:
    scene = Scene().settled().reporting(disruption=PREEMPTED).succeeded().settled()
    assert said(scene) == ("Running", "Training")


def test_a_child_that_was_deleted_by_hand_is_started_again_under_the_same_attempt() -> None:
    before = Scene().settled().succeeded().settled()
    gone = before.vanished()
    assert gone.decided().status == before.job.status
    assert gone.decided().events == ()
    assert gone.settled().live.name == before.live.name


def test_a_child_that_is_being_deleted_says_so() -> None:
    scene = Scene().settled().reporting(state=ChildState.STOPPING, is_stopped=True).settled()
    assert said(scene) == ("Pending", "Stopping")
    assert said(scene.vanished().settled()) == ("Running", "Preparing")


def test_a_suspended_job_whose_child_is_gone_resumes_with_the_same_attempt() -> None:
    scene = Scene().settled().succeeded().settled().edited(suspend=True).settled().vanished()
    assert said(scene.settled()) == ("Suspended", "Suspended")
    assert scene.edited(suspend=False).settled().live.name.endswith("r1-train-1")


@pytest.mark.parametrize("state", [ChildState.RUNNING, ChildState.FINISHED])
def test_a_child_of_another_spec_is_superseded_and_never_adopted(state: ChildState) -> None:
    scene = Scene().stepped()
    recorded = scene.settled().live
    stray = replace(recorded, spec_hash="f" * 16, state=state)
    scene = replace(scene, children=(stray,)).settled()
    if state is ChildState.RUNNING:
        assert scene.live.state is ChildState.STOPPING
        scene = scene.vanished().settled()
    assert scene.live.spec_hash == recorded.spec_hash
    assert scene.live.attempt == 2


def test_a_run_keeps_the_images_that_it_started_with() -> None:
    scene = replace(Scene(), settings=Settings(images=IMAGES)).stepped()
    assert [action.image for action in starts(scene)] == [IMAGES.cpu]
    upgraded = replace(scene.settled(), settings=Settings(images=Images(cpu="b", trainer="b")))
    trained = upgraded.succeeded().stepped()
    assert [action.image for action in starts(trained)] == [IMAGES.trainer]
    own = trained.edited(compute={"gpus": 0, "image": "mine:2"}).stepped()
    assert [action.image for action in starts(own)] == ["mine:2"]
    assert trained.job.status.run is not None
    assert trained.job.status.run.images == IMAGES


def test_under_a_single_command_a_base_model_without_a_revision_is_its_branch() -> None:
    job = a_job(baseModel={"name": "smol"})
    source = {"huggingFace": {"repo": "owner/name", "branch": "next"}}
    base = BaseModelObject.model_validate(
        {"metadata": {"name": "smol"}, "spec": {"source": source}}
    )
    alone = Settings(waits_heal=False)  # nobody looks at its source
    observed = replace(Scene(job=job, settings=alone).observed(), base_model=base)
    stored = job.model_copy(update={"status": decide(observed).status})
    (action,) = decide(replace(observed, job=stored)).actions
    assert isinstance(action, StartStage)
    model = action.request.spec.base_model
    assert model.hugging_face is not None
    assert (model.hugging_face.branch, model.revision) == ("next", None)


def test_a_word_that_only_a_newer_release_knows_is_still_an_end() -> None:
    done = Scene().settled().succeeded().settled().succeeded().settled().succeeded().settled()
    assert done.job.status.run is not None
    for field in ("failure", "verdict"):
        run = done.job.status.run.model_copy(update={"verdict": "", "failure": "", field: "Fresh"})
        stored = done.job.model_copy(
            update={"status": done.job.status.model_copy(update={"run": run})}
        )
        newer = replace(done, job=stored).settled()
        assert newer.job.status.phase == ("Failed" if field == "failure" else "Succeeded")


def test_a_rerun_annotation_of_any_length_makes_one_run() -> None:
    scene = Scene().annotated(rerun="x" * 5000).settled()
    assert scene.live.name.endswith("r1-prepare-1")
    assert scene.annotated(rerun="x" * 5000).settled().children == scene.children


def test_the_kept_base_model_goes_into_every_later_request() -> None:
    scene = Scene(job=a_job(baseModel={"directory": SPEC["baseModel"]["directory"]}))
    scene = scene.settled().succeeded().stepped()
    (action,) = starts(scene)
    assert action.request.spec.base_model.content_digest == DIGEST


def test_a_stop_is_asked_for_once() -> None:
    scene = Scene().settled().edited(suspend=True)
    assert scene.decided().actions == (StopStage(scene.live.name, "suspended"),)
    assert scene.stepped().decided().actions == ()


def test_a_child_that_has_not_started_makes_room_for_a_corrected_spec() -> None:
    scene = Scene().settled().reporting(state=ChildState.PENDING)
    corrected = scene.edited(compute={"gpus": 0, "image": "mended:1"})
    assert [type(action) for action in corrected.decided().actions] == [StopStage]
    healed = corrected.stepped().vanished().settled()
    assert healed.live.state is ChildState.RUNNING
    assert healed.job.status.run.failures == 0


def test_a_child_that_runs_keeps_running_when_the_next_attempts_spec_changes() -> None:
    scene = Scene().settled().edited(compute={"gpus": 0, "image": "mended:1"})
    assert scene.decided().actions == ()
