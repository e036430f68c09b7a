"""What a job says of the adapter in use: policy, approval, pins, refusals, and lost messages."""

from typing import Any

import pytest
from builders.jobs import DIGEST, Scene, a_job

from controller.api.conditions import Condition, ConditionType
from controller.core.conditions import find
from trainer.contract.failures import FailureClass
from trainer.contract.outcome import Details, Promoted

C = ConditionType
FIRST, OWN = "1" * 16, "2" * 16


def promoted(run_id: str = OWN, sequence: int = 1, **fields: Any) -> Promoted:
    return Promoted(
        sequence=sequence,
        run_id=run_id,
        adapter_uri=f"file:///out/runs/{run_id}/e1/adapter",
        adapter_digest=DIGEST,
        base_revision="abc",
        time="2026-03-01T12:00:00Z",
        **fields,
    )


def at_judge(**promotion: Any) -> Scene:
    """The run's judge is at work."""
    job = a_job(promotion=promotion) if promotion else a_job()
    scene = Scene(job=job).settled().succeeded(run_id=OWN).settled()
    return scene.succeeded(run_id=OWN).settled()


def judged(scene: Scene, pointer: Promoted | None, **fields: Any) -> Scene:
    """It says this of the pointer."""
    told = {
        "run_id": OWN,
        "sequence": pointer.sequence if pointer else 0,
        "promoted_run_id": pointer.run_id if pointer else "",
    }
    return scene.succeeded(Details(promoted=pointer), **(told | fields))


def condition(scene: Scene, kind: ConditionType) -> Condition | None:
    return find(scene.job.status.conditions, kind)


def told(scene: Scene) -> tuple[str, str]:
    found = condition(scene, C.PROMOTED)
    assert found is not None
    return found.status, found.reason.value


def message(scene: Scene) -> str:
    found = condition(scene, C.PROMOTED)
    assert found is not None
    return found.message


OLD = promoted(FIRST, 1)
BACK = promoted(FIRST, 3, by="Pin", back=True)
SAID = [
    pytest.param({}, promoted(), {}, ("True", "Promoted"), "sequence 1", id="by policy"),
    pytest.param(
        {},
        OLD,
        {"verdict": "Reject"},
        ("False", "Reject"),
        f"run {OWN} is not in use; run {FIRST}, sequence 1, stays",
        id="rejected: the old one stays",
    ),
    pytest.param(
        {},
        OLD,
        {"verdict": "NotNeeded"},
        ("True", "NotNeeded"),
        "stays in use although no tuning is needed",
        id="not needed: the old one stays until a person acts",
    ),
    pytest.param(
        {"policy": "Manual"},
        OLD,
        {},
        ("False", "AwaitingApproval"),
        f"waits for spec.promotion.pin: {OWN}; run {FIRST}",
        id="awaiting approval",
    ),
    pytest.param(
        {"pin": OWN}, promoted(by="Pin"), {}, ("True", "Pinned"), "by spec.promotion.pin", id="pin"
    ),
    pytest.param(
        {"pin": FIRST},
        BACK,
        {},
        ("True", "RolledBack"),
        f"run {OWN} has passed",
        id="a pin to an older run",
    ),
    pytest.param(
        {},
        promoted(by="Pin", back=True),
        {"verdict": "Inconclusive"},
        ("True", "Promoted"),
        "",
        id="judged again by a stricter threshold: still in use",
    ),
]


@pytest.mark.parametrize(("promotion", "pointer", "fields", "said", "text"), SAID)
def test_the_condition_says_what_is_in_use_and_why(
    promotion: dict[str, Any],
    pointer: Promoted,
    fields: dict[str, Any],
    said: tuple[str, str],
    text: str,
) -> None:
    scene = judged(at_judge(**promotion), pointer, **fields).settled()
    assert told(scene) == said
    assert text in message(scene)
    assert scene.job.status.promoted == pointer
    assert (scene.job.status.phase, condition(scene, C.STALLED)) == ("Succeeded", None)


MOVES = [
    pytest.param({}, promoted(sequence=2), "Promoted", id="policy"),
    pytest.param({"pin": OWN}, promoted(sequence=2, by="Pin"), "Pinned", id="pin"),
    pytest.param({"pin": FIRST}, BACK, "RolledBack", id="rollback"),
    pytest.param({}, promoted(FIRST, 4, by="Unpin"), "Promoted", id="the pin is gone"),
]


@pytest.mark.parametrize(("promotion", "pointer", "reason"), MOVES)
def test_a_move_of_the_pointer_is_one_event(
    promotion: dict[str, Any], pointer: Promoted, reason: str
) -> None:
    scene = judged(at_judge(**promotion), pointer)
    events = [event.reason for event in scene.decided().events]
    assert events.count(reason) == 1
    assert scene.settled().decided().events == ()


def test_an_object_that_was_made_again_does_not_announce_what_it_finds() -> None:
    scene = Scene().settled().succeeded(run_id=OWN, trained=True, generated=True).settled()
    events = [event.reason for event in judged(scene, promoted()).decided().events]
    assert events == ["Promote"]


REFUSALS = [FailureClass.NOT_FOUND, FailureClass.INVALID_SPEC]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_pin_that_is_refused_stalls_the_object_and_leaves_its_run_succeeded(
    refusal: FailureClass,
) -> None:
    why = "spec.promotion.pin: there is no run; pin one of 1, 2"
    scene = judged(at_judge(pin=FIRST), promoted(), refused=refusal, message=why)
    warnings = [event for event in scene.decided().events if event.type == "Warning"]
    assert [event.reason for event in warnings] == [refusal.value]
    scene = scene.settled()
    stalled, succeeded = condition(scene, C.STALLED), condition(scene, C.SUCCEEDED)
    assert told(scene) == ("False", refusal.value)
    assert message(scene) == f"{why}; run {OWN}, sequence 1, stays in use"
    assert stalled is not None
    assert succeeded is not None
    assert (stalled.status, stalled.reason.value, succeeded.status) == (
        "True",
        refusal.value,
        "True",
    )
    assert scene.job.status.phase == "Succeeded"
    assert scene.decided().status == scene.job.status


def test_another_pin_is_tried_at_once_and_ends_the_stall() -> None:
    refused = judged(at_judge(pin=FIRST), promoted(), refused="NotFound", message="no").settled()
    mended = refused.edited(promotion={"pin": OWN}).settled()
    assert (mended.live.stage.value, condition(mended, C.STALLED)) == ("judge", None)
    done = judged(mended, promoted(sequence=1)).settled()
    assert (told(done), condition(done, C.STALLED)) == (("True", "Pinned"), None)


def test_a_pin_is_a_judge_stage_and_no_new_run() -> None:
    scene = judged(at_judge(), promoted()).settled().edited(promotion={"pin": FIRST}).settled()
    assert scene.live.name.endswith("r1-judge-2")
    assert scene.job.status.run is not None
    assert scene.job.status.run.number == 1


def test_a_pointer_whose_details_were_lost_is_asked_for_again() -> None:
    scene = judged(at_judge(), promoted()).settled().edited(promotion={"pin": FIRST}).settled()
    told_line = {"run_id": OWN, "sequence": 3, "promoted_run_id": FIRST}
    lost = scene.succeeded(Details(), **told_line).settled()
    assert lost.job.status.phase != "Succeeded"
    assert lost.job.status.promoted == promoted()
    again = lost.passed(60).settled()
    assert again.live.name.endswith("r1-judge-3")
    done = judged(again, BACK).settled()
    assert (done.job.status.phase, done.job.status.promoted) == ("Succeeded", BACK)


def test_details_that_are_lost_while_the_pointer_stays_cost_no_second_judge() -> None:
    scene = judged(at_judge(), promoted()).settled().edited(promotion={"pin": OWN}).settled()
    line = {"run_id": OWN, "sequence": 1, "promoted_run_id": OWN}
    done = scene.succeeded(Details(), **line).settled()
    assert (done.job.status.phase, told(done)) == ("Succeeded", ("True", "Pinned"))


# A pin while the newest run has failed: the way back must not depend on it.


def failed_while_in_use() -> Scene:
    """Run 1 is in use; run 2, of another spec, diverged."""
    scene = judged(at_judge(), promoted(FIRST, 1)).settled().edited(lora={"rank": 8}).settled()
    scene = scene.succeeded(run_id=OWN).settled().failed(FailureClass.DIVERGED).settled()
    assert scene.job.status.phase == "Failed"
    return scene


def test_a_pin_is_followed_although_the_run_failed_and_trains_nothing() -> None:
    scene = failed_while_in_use().edited(promotion={"pin": "3" * 16}).settled()
    assert scene.live.name.endswith("r2-judge-1")
    back = promoted("3" * 16, 2, by="Pin", back=True)
    done = judged(scene, back, verdict="").settled()
    assert (done.job.status.phase, done.job.status.promoted) == ("Failed", back)
    assert told(done) == ("True", "RolledBack")
    run = done.job.status.run
    assert run is not None
    assert (run.failure, run.stage, run.attempt) == ("Diverged", "train", 1)
    assert [entry.result for entry in done.job.status.history] == ["Promote", "Diverged"]
    assert done.decided().status == done.job.status


def test_a_pin_that_is_refused_there_is_tried_once() -> None:
    scene = failed_while_in_use().edited(promotion={"pin": "3" * 16}).settled()
    line = {"verdict": "", "refused": "NotFound", "message": "there is none"}
    done = judged(scene, promoted(FIRST, 1), **line).settled()
    assert (done.job.status.phase, told(done)) == ("Failed", ("False", "NotFound"))
    assert not any(child.is_unfinished for child in done.children)


def test_its_removal_is_seen_to_as_well() -> None:
    scene = failed_while_in_use().edited(promotion={"pin": "3" * 16}).settled()
    pinned = judged(scene, promoted("3" * 16, 2, by="Pin"), verdict="").settled()
    free = pinned.edited(promotion={}).settled()
    assert free.live.stage.value == "judge"
    done = judged(free, promoted(FIRST, 3, by="Unpin"), verdict="").settled()
    assert (done.job.status.phase, told(done)) == ("Failed", ("False", "Diverged"))


def test_what_mends_the_failure_in_the_same_commit_comes_after_the_pin() -> None:
    change = {"promotion": {"pin": "3" * 16}, "compute": {"gpus": 0, "env": []}}
    mended = change | {"retry": {"maxAttempts": 5}}
    scene = failed_while_in_use().edited(**mended).settled()
    assert scene.live.stage.value == "judge"
    after = judged(scene, promoted("3" * 16, 2, by="Pin"), verdict="").settled()
    assert after.live.name.endswith("r2-train-2")
    assert after.job.status.run is not None
    assert after.job.status.run.failure == ""


def test_a_pin_alone_does_not_start_a_failed_stage_again() -> None:
    scene = failed_while_in_use().edited(promotion={"policy": "Manual"}).settled()
    assert not any(child.is_unfinished for child in scene.children)


def test_a_pin_that_was_set_before_the_run_failed_is_followed_at_its_end() -> None:
    scene = Scene(job=a_job(promotion={"pin": FIRST})).settled().succeeded(run_id=OWN).settled()
    after = scene.failed(FailureClass.DIVERGED).settled()
    assert after.live.stage.value == "judge"
    assert judged(after, BACK, verdict="").settled().job.status.phase == "Failed"
