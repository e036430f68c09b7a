"""What follows when a base model has moved: a new run, a wait that says why, or nothing."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from builders.jobs import START, Scene, a_job, digest_of

from controller.api.conditions import Condition, ConditionType
from controller.core.conditions import find
from trainer.contract.failures import FailureClass
from trainer.contract.outcome import Details, Promoted

NAMED = {"name": "smol"}
AUTO = {"policy": "Auto", "minPeriodSeconds": 0}
HOUR = 3600


def judged(retrain: dict[str, Any] | None = None, **spec: Any) -> Scene:
    """Run 1 is judged, on rev-1."""
    job = a_job(**{"baseModel": NAMED, "retrain": retrain or AUTO, **spec})
    return Scene(job=job).moved("rev-1").run_through()


def training(retrain: dict[str, Any] | None = None) -> Scene:
    """Run 1 trains, on rev-1."""
    job = a_job(baseModel=NAMED, retrain=retrain or AUTO)
    scene = Scene(job=job).moved("rev-1").settled()
    return scene.succeeded(base_revision="rev-1", base_digest=digest_of("rev-1")).settled()


def current(scene: Scene) -> Condition:
    found = find(scene.job.status.conditions, ConditionType.BASE_MODEL_CURRENT)
    assert found is not None
    return found


def told(scene: Scene) -> tuple[str, str]:
    found = current(scene)
    return found.status, found.reason.value


def number(scene: Scene) -> int:
    run = scene.job.status.run
    assert run is not None
    return run.number


def revision(scene: Scene) -> str:
    run = scene.job.status.run
    assert run is not None
    assert run.base_model is not None
    return run.base_model.revision


def test_auto_makes_a_new_run_for_the_newest_and_says_what_made_it() -> None:
    scene = judged().moved("rev-2").settled()
    run = scene.job.status.run
    assert run is not None
    assert (run.number, run.trigger, revision(scene)) == (2, "BaseModel", "rev-2")
    assert scene.job.status.last_retrain_time == START
    assert told(scene) == ("True", "BaseModelCurrent")
    done = scene.run_through()
    assert [(e.run, e.base_digest) for e in done.job.status.history] == [
        (1, digest_of("rev-1")),
        (2, digest_of("rev-2")),
    ]


def test_the_spec_is_what_it_was() -> None:
    before = judged()
    after = before.moved("rev-2").run_through()
    assert after.job.spec == before.job.spec
    assert after.job.metadata.generation == before.job.metadata.generation


def test_the_record_of_a_retraining_is_one_status_write() -> None:
    scene = judged().moved("rev-2")
    first = scene.decided()
    second = scene.stepped().decided()
    assert first.status.run is not None
    assert (first.status.run.number, first.requeue_after_s) == (2, 0)
    assert second.status == first.status
    assert len(second.actions) == 1


LEFT_TO_PEOPLE = [
    pytest.param({"policy": "Never"}, NAMED, id="Never"),
    pytest.param({"policy": "OnCommit"}, NAMED, id="OnCommit"),
    pytest.param(AUTO, {"name": "smol", "revision": "rev-1"}, id="Auto with a pin"),
]


@pytest.mark.parametrize(("retrain", "reference"), LEFT_TO_PEOPLE)
def test_elsewhere_the_job_shows_that_it_is_behind_and_does_nothing(
    retrain: dict[str, Any], reference: dict[str, str]
) -> None:
    before = judged(retrain, baseModel=reference)
    decision = before.moved("rev-2").decided()
    assert [event.reason for event in decision.events] == ["NewRevisionAvailable"]
    after = before.moved("rev-2").settled()
    assert (number(after), after.job.status.phase) == (1, "Succeeded")
    assert told(after) == ("False", "NewRevisionAvailable")
    message = current(after).message
    assert "rev-1" in message
    assert "set spec.baseModel.revision to rev-2" in message
    assert after.decided().events == ()
    assert after.tidied().decided().requeue_after_s is None


def test_the_write_back_is_named_where_there_is_one() -> None:
    git = {"writeBack": {"git": {"url": "https://git.example/manifests"}}}
    scene = judged({"policy": "OnCommit"})
    assert "write-back" not in current(scene.moved("rev-2").settled()).message
    assert (
        "merge what the BaseModel's write-back"
        in current(scene.moved("rev-2", spec=git).settled()).message
    )


def test_a_base_model_that_is_gone_makes_no_job_current() -> None:
    scene = judged({"policy": "OnCommit"}).moved("rev-2").settled()
    gone = replace(scene, base_model=None).settled()
    assert told(gone) == ("Unknown", "BaseModelNotFound")
    assert number(gone) == 1
    assert told(gone.moved("rev-2").settled()) == ("False", "NewRevisionAvailable")


def test_the_same_content_under_another_revision_is_no_move() -> None:
    scene = judged()
    base = scene.moved("rev-2").base_model
    assert base is not None
    assert base.status.latest is not None
    same = base.status.latest.model_copy(update={"content_digest": digest_of("rev-1")})
    status = base.status.model_copy(update={"latest": same})
    after = replace(scene, base_model=base.model_copy(update={"status": status})).settled()
    assert (number(after), told(after)) == (1, ("True", "BaseModelCurrent"))


# What holds a retraining back.


def suspended(scene: Scene) -> Scene:
    return scene.edited(suspend=True)


def within_the_period(scene: Scene) -> Scene:
    last = {"last_retrain_time": START - timedelta(seconds=HOUR)}
    status = scene.job.status.model_copy(update=last)
    return replace(scene, job=scene.job.model_copy(update={"status": status}))


def in_line(scene: Scene) -> Scene:
    return replace(scene, retrain_position=3)


DAILY = {"policy": "Auto", "minPeriodSeconds": 86400}
HELD = [
    pytest.param(AUTO, suspended, "spec.suspend", None, id="suspended"),
    pytest.param(DAILY, within_the_period, "2026-03-02T11:00:00Z", 82800, id="the period"),
    pytest.param(AUTO, in_line, "position 3 in the queue", None, id="in line"),
]


@pytest.mark.parametrize(("retrain", "hold", "why", "after_s"), HELD)
def test_a_retraining_that_is_held_says_why_and_leaves_the_phase(
    retrain: dict[str, Any], hold: Any, why: str, after_s: float | None
) -> None:
    before = hold(judged(retrain)).settled()
    waiting = before.moved("rev-2").settled()
    assert (number(waiting), waiting.job.status.phase) == (1, before.job.status.phase)
    assert told(waiting) == ("False", "RetrainWaits")
    assert why in current(waiting).message
    assert waiting.tidied().decided().requeue_after_s == after_s
    assert waiting.decided().status == waiting.job.status


def test_it_begins_when_what_held_it_is_over() -> None:
    held = suspended(judged()).moved("rev-2").settled()
    assert number(held.edited(suspend=False).settled()) == 2
    early = within_the_period(judged(DAILY)).moved("rev-2").settled()
    assert number(early.passed(82799).settled()) == 1
    assert number(early.passed(82800).settled()) == 2
    queued = in_line(judged()).moved("rev-2").settled()
    assert number(replace(queued, retrain_position=0).settled()) == 2


def test_a_clock_that_goes_back_waits_no_longer_than_the_period() -> None:
    ahead = within_the_period(judged(DAILY)).passed(-10 * 86400).moved("rev-2").settled()
    assert ahead.decided().requeue_after_s == 86400


def test_the_period_does_not_delay_a_commit() -> None:
    scene = within_the_period(judged(DAILY)).moved("rev-2").edited(lora={"rank": 8}).settled()
    assert scene.job.status.run is not None
    assert (number(scene), scene.job.status.run.trigger) == (2, "Spec")
    assert revision(scene) == "rev-2"
    assert scene.job.status.last_retrain_time == START - timedelta(seconds=HOUR)


def test_forbid_waits_for_the_run_under_way_and_then_goes_on_by_itself() -> None:
    scene = training().moved("rev-2").settled()
    assert (number(scene), told(scene)) == (1, ("False", "RetrainWaits"))
    assert "run 1 has ended" in current(scene).message
    scene = scene.succeeded().settled().succeeded()
    ended = scene.stepped()
    assert scene.decided().requeue_after_s == 0
    assert ended.job.status.phase == "Succeeded"
    assert (number(ended.settled()), revision(ended.settled())) == (2, "rev-2")
    assert [entry.run for entry in ended.settled().job.status.history] == [1]


def test_replace_stops_the_run_under_way_and_starts_when_it_is_gone() -> None:
    replacing = training(AUTO | {"concurrencyPolicy": "Replace"}).moved("rev-2").settled()
    assert (number(replacing), revision(replacing)) == (2, "rev-2")
    (stopping,) = [child for child in replacing.children if child.is_unfinished]
    assert (stopping.run, stopping.is_stopped) == (1, True)
    gone = replacing.ended(stopping, exit_code=143).settled()
    assert gone.live.name.endswith("r2-prepare-1")


def test_replace_records_an_attempt_that_has_ended_before_it_takes_its_place() -> None:
    scene = training(AUTO | {"concurrencyPolicy": "Replace"}).succeeded().settled()
    scene = scene.succeeded().moved("rev-2")  # the judge has moved the pointer, perhaps
    after = scene.settled()
    assert [(e.run, e.result) for e in after.job.status.history] == [(1, "Promote")]
    assert number(after) == 2


def test_replace_lets_a_judge_finish() -> None:
    scene = training(AUTO | {"concurrencyPolicy": "Replace"}).succeeded().settled()
    held = scene.moved("rev-2").settled()
    assert (number(held), held.live.is_stopped) == (1, False)
    assert number(held.succeeded().settled()) == 2


def test_a_run_that_waits_for_what_is_gone_does_not_hold_its_successor() -> None:
    scene = Scene(job=a_job(baseModel=NAMED, retrain=AUTO)).moved("rev-1").settled()
    gone = scene.failed(FailureClass.NOT_FOUND).settled()
    assert gone.job.status.phase == "Pending"
    assert revision(gone.moved("rev-2").settled()) == "rev-2"


def test_what_a_person_asks_for_comes_first() -> None:
    scene = judged().moved("rev-2").edited(evaluation={"minDelta": "0.1"}).settled()
    assert (number(scene), scene.live.stage.value) == (1, "judge")
    assert told(scene) == ("False", "RetrainWaits")
    assert number(scene.succeeded().settled()) == 2


# A source that comes back.


def promoted(revision_in_use: str) -> Details:
    return Details(
        promoted=Promoted(
            sequence=1,
            run_id=f"{1:016x}",
            adapter_uri="file:///out/e1",
            adapter_digest=digest_of("adapter"),
            base_revision=revision_in_use,
            base_digest=digest_of(revision_in_use),
            time="2026-03-01T12:00:00Z",
        )
    )


def test_a_base_that_is_pushed_back_is_not_trained_again() -> None:
    scene = judged().moved("rev-2").run_through().moved("rev-1").settled()
    assert number(scene) == 2
    assert told(scene) == ("False", "AlreadyJudged")
    message = current(scene).message
    assert "by run 1 (Promote)" in message
    assert f"pin run {1:016x}" in message
    assert scene.tidied().decided().requeue_after_s is None


def test_a_base_that_is_pushed_back_to_that_of_the_adapter_in_use_is_current() -> None:
    scene = judged().moved("rev-2").run_through()
    status = scene.job.status.model_copy(update={"promoted": promoted("rev-1").promoted})
    scene = replace(scene, job=scene.job.model_copy(update={"status": status}))
    assert told(scene.moved("rev-1").settled()) == ("True", "AlreadyJudged")


@pytest.mark.parametrize("limit", [0, 1, 10])
def test_a_flapping_source_is_not_followed_however_short_the_history(limit: int) -> None:
    scene = judged(historyLimit=limit)
    for _ in range(3):
        for name in ("rev-2", "rev-1"):
            scene = scene.moved(name).run_through().passed(86400)
    assert number(scene) == 2


def test_a_revision_on_which_it_failed_is_not_tried_again_by_itself() -> None:
    scene = judged().moved("rev-2").settled().failed(FailureClass.DIVERGED).settled()
    assert scene.job.status.phase == "Failed"
    scene = scene.moved("rev-3").run_through()
    assert scene.job.status.phase == "Succeeded"
    back = scene.moved("rev-2").settled()
    assert (number(back), told(back)) == (3, ("False", "AlreadyJudged"))
    assert "by run 2 (Diverged)" in current(back).message


def test_another_spec_is_trained_on_a_revision_that_the_one_before_was_judged_on() -> None:
    scene = judged().moved("rev-2").run_through().edited(lora={"rank": 8}).run_through()
    back = scene.moved("rev-1").settled()
    assert (number(back), revision(back)) == (4, "rev-1")


def test_a_replaced_run_is_taken_up_again_when_its_revision_comes_back() -> None:
    scene = judged(AUTO | {"concurrencyPolicy": "Replace"}).moved("rev-2").settled()
    scene = scene.moved("rev-3").settled()
    scene = scene.ended(scene.live, exit_code=143).run_through().moved("rev-2").settled()
    assert (number(scene), revision(scene)) == (4, "rev-2")
