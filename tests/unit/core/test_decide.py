"""What is decided, step by step."""

from dataclasses import replace

import pytest
from builders.jobs import DIGEST, RUN_ID, Scene, a_job

from controller.api.basemodel import BaseModelObject
from controller.core.actions import StartStage, StopStage
from controller.core.children import ChildState
from controller.core.conditions import ConditionType, find
from controller.core.decide import decide
from trainer.contract.failures import FailureClass
from trainer.contract.outcome import Details, Outcome, Promoted
from trainer.contract.progress import Progress
from trainer.contract.request import Stage
from trainer.contract.verdict import Verdict

C = ConditionType


def trained_and_judged() -> Scene:
    return Scene().settled().succeeded().settled().succeeded().settled().succeeded().settled()


def names(scene: Scene) -> list[str]:
    return [child.name.split("-", 2)[2] for child in scene.children]


def truth(scene: Scene, kind: ConditionType) -> str | None:
    found = find(scene.job.status.conditions, kind)
    return found.status if found else None


def reason(scene: Scene, kind: ConditionType) -> str | None:
    found = find(scene.job.status.conditions, kind)
    return found.reason.value if found else None


def test_an_attempt_is_in_the_stored_status_before_its_child_is_asked_for() -> None:
    first = Scene().decided()
    assert first.actions == ()
    assert first.requeue_after_s == 0
    assert first.status.run is not None
    recorded = Scene().stepped()
    (action,) = recorded.decided().actions
    assert isinstance(action, StartStage)
    assert (action.request.run, action.request.stage, action.request.attempt) == (1, "prepare", 1)


def test_a_stage_costs_one_status_write_and_one_create() -> None:
    scene = Scene()
    writes = creates = 0
    for _ in range(5):
        decision = scene.decided()
        writes += decision.status != scene.job.status
        creates += len(decision.actions)
        scene = scene.stepped()
    assert (writes, creates) == (1, 1)


def test_a_job_goes_through_prepare_train_and_judge() -> None:
    assert names(trained_and_judged()) == ["r1-prepare-1", "r1-train-1", "r1-judge-1"]


def test_a_finished_run_in_the_output_is_only_judged_again() -> None:
    scene = Scene().settled().succeeded(trained=True, generated=True).settled()
    assert names(scene) == ["r1-prepare-1", "r1-judge-1"]
    assert reason(scene, C.TRAINED) == "AlreadyTrained"


def test_a_trained_run_without_these_answers_goes_through_train() -> None:
    scene = Scene().settled().succeeded(trained=True, generated=False).settled()
    assert names(scene)[-1] == "r1-train-1"


@pytest.mark.parametrize("verdict", list(Verdict))
def test_any_verdict_is_a_success_of_the_job(verdict: Verdict) -> None:
    scene = Scene().settled().succeeded().settled().succeeded().settled()
    scene = scene.succeeded(verdict=verdict.value).settled()
    assert scene.job.status.phase == "Succeeded"
    assert (truth(scene, C.SUCCEEDED), truth(scene, C.FINISHED)) == ("True", "True")
    assert truth(scene, C.EVALUATED) == "True"


def test_a_promoted_run_says_so_and_keeps_the_pointer() -> None:
    promoted = Promoted(
        sequence=3,
        run_id=RUN_ID,
        adapter_uri="file:///out",
        adapter_digest=DIGEST,
        base_revision="abc",
        time="2026-03-01T12:00:00Z",
    )
    scene = Scene().settled().succeeded().settled().succeeded().settled()
    scene = scene.succeeded(Details(promoted=promoted)).settled()
    assert truth(scene, C.PROMOTED) == "True"
    again = scene.edited(promotion={"policy": "Manual"}).settled()
    older = promoted.model_copy(update={"sequence": 2})
    after = again.succeeded(Details(promoted=older)).settled()
    assert after.job.status.promoted == promoted


USERS = [
    FailureClass.INVALID_SPEC,
    FailureClass.INVALID_DATA,
    FailureClass.TEST_TOO_SMALL,
    FailureClass.OUTPUT_IN_USE,
    FailureClass.CONDITIONAL_WRITES_UNSUPPORTED,
]
HINTED = [
    FailureClass.HOST_OUT_OF_MEMORY,
    FailureClass.HOST_STORAGE_EXCEEDED,
    FailureClass.GPU_OUT_OF_MEMORY,
    FailureClass.DIVERGED,
]


@pytest.mark.parametrize("failure", USERS + HINTED)
def test_what_would_fail_again_is_never_retried(failure: FailureClass) -> None:
    scene = Scene().settled().failed(failure).settled()
    assert names(scene) == ["r1-prepare-1"]
    assert scene.job.status.phase == "Failed"
    assert truth(scene, C.STALLED) == "True"
    assert reason(scene, C.FINISHED) == failure.value
    assert scene.job.status.run is not None
    assert "prepare: because" in scene.job.status.run.message


@pytest.mark.parametrize("failure", [FailureClass.INVALID_DATA, FailureClass.TEST_TOO_SMALL])
def test_bad_data_is_a_condition_of_its_own(failure: FailureClass) -> None:
    scene = Scene().settled().failed(failure).settled()
    assert (truth(scene, C.DATA_VALID), reason(scene, C.DATA_VALID)) == ("False", failure.value)


@pytest.mark.parametrize("failure", HINTED)
def test_a_failure_with_a_remedy_names_it(failure: FailureClass) -> None:
    scene = Scene().settled().failed(failure).settled()
    assert scene.job.status.run is not None
    assert scene.job.status.run.message.startswith("prepare: because; ")


@pytest.mark.parametrize(
    ("failed", "pause_s"),
    [(1, 10), (2, 20)],
    ids=["first waits 10 s", "second waits twice as long"],
)
def test_an_outage_is_waited_for_twice_as_long_each_time(failed: int, pause_s: float) -> None:
    scene = Scene().settled()
    for _ in range(failed - 1):
        scene = scene.failed(FailureClass.UNAVAILABLE).settled().passed(3600).settled()
    scene = scene.failed(FailureClass.UNAVAILABLE).settled()
    assert scene.decided().requeue_after_s == pause_s
    assert scene.job.status.phase == "Pending"
    early = scene.passed(pause_s - 1).settled()
    assert len(early.children) == failed
    assert len(scene.passed(pause_s).settled().children) == failed + 1


def test_the_last_attempt_is_the_end() -> None:
    scene = Scene(job=a_job(retry={"maxAttempts": 2})).settled()
    scene = scene.crashed().settled().passed(60).settled().crashed().settled().passed(600).settled()
    assert names(scene) == ["r1-prepare-1", "r1-prepare-2"]
    assert reason(scene, C.STALLED) == "Unexpected"


def test_an_interruption_after_a_newer_checkpoint_is_free() -> None:
    scene = Scene(job=a_job(retry={"maxAttempts": 1})).settled().succeeded().settled()
    for step in (5, 9, 12):
        scene = scene.failed(FailureClass.INTERRUPTED, checkpoint_step=step).settled()
    assert names(scene)[-1] == "r1-train-4"
    scene = scene.failed(FailureClass.INTERRUPTED, checkpoint_step=12).settled()
    assert scene.job.status.phase == "Failed"


@pytest.mark.parametrize(
    ("outcome", "exit_code", "failure"),
    [
        pytest.param(None, 0, "Unexpected", id="exit 0 without a word is no success"),
        pytest.param(None, 137, "HostOutOfMemory", id="SIGKILL is the kernel's out of memory"),
        pytest.param(None, 11, "InvalidData", id="the exit code carries the class"),
        pytest.param(None, 99, "Unexpected", id="an unknown exit code is unexpected"),
        pytest.param(
            Outcome(stage=Stage.PREPARE, uid="other", run=1, attempt=1, run_id=RUN_ID),
            0,
            "Unexpected",
            id="the word of another object is no word",
        ),
        pytest.param(
            Outcome(
                stage=Stage.PREPARE, uid="0b9d3a3e-7a52-4e0e-9f5a-6f6f0a3d1c11", run=1, attempt=1
            ),
            0,
            "Unexpected",
            id="prepare without a run id is no success",
        ),
    ],
)
def test_success_needs_a_word(outcome: Outcome | None, exit_code: int, failure: str) -> None:
    scene = Scene(job=a_job(retry={"maxAttempts": 1})).settled()
    scene = scene.ended(scene.live, outcome=outcome, exit_code=exit_code).settled()
    assert reason(scene, C.STALLED) == failure


def test_suspend_stops_the_stage_and_resume_goes_on_without_counting() -> None:
    scene = Scene(job=a_job(retry={"maxAttempts": 1})).settled().succeeded().settled()
    scene = scene.edited(suspend=True).settled()
    assert scene.live.state is ChildState.STOPPING
    scene = scene.failed(FailureClass.INTERRUPTED).settled()
    assert scene.job.status.phase == "Suspended"
    assert truth(scene, C.RECONCILING) is None
    assert truth(scene, C.FINISHED) == "False"
    scene = scene.edited(suspend=False).settled()
    assert scene.live.name.endswith("r1-train-2")


def test_a_stage_killed_while_it_was_stopped_has_not_run_out_of_memory() -> None:
    scene = Scene().settled().succeeded().settled().edited(suspend=True).settled()
    scene = scene.crashed(exit_code=137).settled().edited(suspend=False).settled()
    assert scene.live.name.endswith("r1-train-2")


def test_a_new_identity_stops_the_old_run_and_waits_for_its_end() -> None:
    scene = Scene().settled().succeeded().settled()
    scene = scene.edited(lora={"rank": 8}).settled()
    assert scene.live.state is ChildState.STOPPING
    assert len(scene.children) == 2
    scene = scene.failed(FailureClass.INTERRUPTED).settled()
    assert scene.live.name.endswith("r2-prepare-1")


def test_the_same_spec_again_is_no_work() -> None:
    scene = trained_and_judged()
    assert scene.edited().settled().children == scene.children


@pytest.mark.parametrize(
    ("spec", "next_stage"),
    [
        pytest.param({"evaluation": {"minDelta": "0.1"}}, "judge-2", id="a threshold is judged"),
        pytest.param({"evaluation": {"fewShotExamples": 3}}, "train-2", id="shots answer again"),
        pytest.param({"historyLimit": 3}, "judge-1", id="history changes nothing"),
        pytest.param({"compute": {"gpus": 2}}, "judge-1", id="execution waits for an attempt"),
    ],
)
def test_a_change_does_as_much_as_its_class(spec: dict, next_stage: str) -> None:
    scene = trained_and_judged().edited(**spec).settled()
    assert scene.children[-1].name.endswith(f"r1-{next_stage}")


def test_answers_made_again_are_judged_again_and_attempts_go_on_counting() -> None:
    scene = trained_and_judged().edited(evaluation={"fewShotExamples": 3}).settled()
    scene = scene.succeeded().settled().succeeded().settled()
    assert names(scene)[-2:] == ["r1-train-2", "r1-judge-2"]
    assert scene.job.status.phase == "Succeeded"


def test_a_threshold_changed_while_judging_is_judged_after_it() -> None:
    scene = Scene().settled().succeeded().settled().succeeded().settled()
    scene = scene.edited(evaluation={"minDelta": "0.1"}).settled()
    assert scene.live.name.endswith("judge-1")
    scene = scene.succeeded().settled()
    assert scene.live.name.endswith("judge-2")


def test_a_rerun_annotation_makes_one_new_run() -> None:
    scene = trained_and_judged().annotated(rerun="today").settled()
    assert scene.live.name.endswith("r2-prepare-1")
    assert scene.annotated().settled().live.name.endswith("r2-prepare-1")


def test_a_failed_stage_is_tried_again_when_the_spec_around_it_changes() -> None:
    scene = Scene().settled().failed(FailureClass.ACCESS_DENIED).settled()
    storage = {"uri": "file:///out/intents", "storage": {"region": "eu"}}
    assert scene.edited(output=storage).settled().live.name.endswith("r1-prepare-2")
    assert scene.edited(historyLimit=1).settled().children == scene.children


def test_an_unsupported_field_stalls_and_taking_it_back_goes_on() -> None:
    scene = Scene(job=a_job(quantization="NF4")).settled()
    assert scene.children == ()
    assert scene.job.status.phase == "Failed"
    stalled = find(scene.job.status.conditions, C.STALLED)
    assert stalled is not None
    assert "quantization" in stalled.message
    assert scene.edited(quantization="None").settled().live.name.endswith("r1-prepare-1")


def test_a_finished_job_is_finished_again_after_a_refused_spec_was_taken_back() -> None:
    done = trained_and_judged()
    refused = done.edited(quantization="NF4").settled()
    assert refused.job.status.phase == "Failed"
    back = refused.edited(quantization="None").settled()
    assert back.job.status.phase == "Succeeded"
    assert truth(back, C.STALLED) is None
    assert back.children == done.children


def test_a_wiped_status_starts_a_run_with_a_new_number() -> None:
    scene = trained_and_judged()
    wiped = replace(scene, job=a_job()).settled()
    assert wiped.live.name.endswith("r2-prepare-1")


def test_a_job_waits_for_its_base_model_and_then_uses_its_source() -> None:
    job = a_job(baseModel={"name": "smol"})
    scene = Scene(job=job).settled()
    assert (scene.children, scene.job.status.phase) == ((), "Pending")
    base = BaseModelObject.model_validate(
        {
            "metadata": {"name": "smol", "namespace": "ml"},
            "spec": {"source": {"directory": {"path": "/models/smol"}}},
            "status": {
                "latest": {
                    "revision": "abc",
                    "contentDigest": DIGEST,
                    "observedTime": "2026-03-01T12:00:00Z",
                }
            },
        }
    )
    recorded = decide(replace(scene.observed(), base_model=base))
    stored = scene.job.model_copy(update={"status": recorded.status})
    (action,) = decide(replace(scene.observed(), job=stored, base_model=base)).actions
    assert isinstance(action, StartStage)
    assert action.request.spec.base_model.directory is not None
    assert action.request.spec.base_model.directory.path == "/models/smol"


def test_later_stages_get_the_base_model_that_prepare_found() -> None:
    scene = Scene().settled().succeeded().stepped()
    (action,) = scene.decided().actions
    assert isinstance(action, StartStage)
    assert action.request.run_id == RUN_ID
    assert action.request.spec.base_model.content_digest == DIGEST


@pytest.mark.parametrize(
    ("percent", "later_s", "is_written"),
    [
        pytest.param(10.2, 5, False, id="less than a percent, soon after"),
        pytest.param(11.0, 5, True, id="a percent more"),
        pytest.param(10.2, 30, True, id="half a minute later"),
    ],
)
def test_progress_is_written_when_it_is_news(
    percent: float, later_s: int, is_written: bool
) -> None:
    scene = Scene().settled()
    child = scene.live
    told = Progress(uid="u", run=1, stage=child.stage, attempt=1, percent=10.0)
    scene = scene.reporting(progress=told).settled().passed(later_s)
    scene = scene.reporting(progress=told.model_copy(update={"percent": percent, "step": 7}))
    written = scene.settled().job.status.progress
    assert written is not None
    assert (written.step == 7) is is_written


def test_a_stray_child_is_stopped() -> None:
    scene = Scene().settled()
    stray = replace(scene.live, name="intents-x-r1-train-9", stage=Stage.TRAIN, attempt=9)
    decision = replace(scene, children=(*scene.children, stray)).decided()
    assert decision.actions == (StopStage(stray.name, "superseded"),)


@pytest.mark.parametrize(
    "suspend", [False, True], ids=["an earlier attempt", "the attempt itself, suspended meanwhile"]
)
def test_a_child_that_has_ended_is_not_stopped_while_its_pod_is_shown_late(suspend: bool) -> None:
    scene = Scene().settled()
    late = replace(scene.live, state=ChildState.RUNNING, has_ended=True)
    if not suspend:
        late = replace(late, name="intents-x-r1-train-9", stage=Stage.TRAIN, attempt=9)
        scene = replace(scene, children=(*scene.children, late))
    else:
        scene = replace(scene, children=(late,)).edited(suspend=True)
    assert scene.decided().actions == ()
