"""A last word that did not arrive is looked for in the store before anything is done again."""

from dataclasses import replace
from typing import Any

import pytest
from builders.jobs import START, Scene, a_job, an_outcome

from controller.api.reasons import Reason
from controller.api.status import RunStatus
from controller.core.actions import StartStage
from controller.core.children import ChildState, Ending
from controller.core.conditions import ConditionType, find
from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.contract.outcome import Cost, Details
from trainer.contract.request import LostAttempt, Stage

F = FailureClass
GONE = Ending(Reason.NODE_LOST, "its node is gone")


def training(**spec: Any) -> Scene:
    """A job whose train stage runs."""
    return Scene(job=a_job(**spec)).settled().succeeded().settled()


def judging() -> Scene:
    return training().succeeded().settled()


def lost(scene: Scene) -> Scene:
    """The live stage's Job is Complete, and nobody has its message."""
    return scene.crashed(exit_code=0).settled()


def names(scene: Scene) -> list[str]:
    return [child.name.split("-", 2)[2] for child in scene.children]


def run_of(scene: Scene) -> RunStatus:
    run = scene.job.status.run
    assert run is not None
    return run


def reason(scene: Scene) -> str:
    found = find(scene.job.status.conditions, ConditionType.FINISHED)
    assert found is not None
    return found.reason.value


@pytest.mark.parametrize(
    ("ending", "is_looked_for"),
    [
        pytest.param({"exit_code": 0}, True, id="complete without a message"),
        pytest.param({"exit_code": None}, True, id="nothing is known"),
        pytest.param({"disruption": GONE, "exit_code": None}, True, id="the node is gone"),
        pytest.param({"exit_code": 23}, True, id="interrupted, perhaps after a checkpoint"),
        pytest.param({"exit_code": 1}, False, id="a crash leaves none"),
        pytest.param({"exit_code": 21}, False, id="the exit code has told the class"),
        pytest.param({"exit_code": 0, "is_stopped": True}, False, id="it was told to stop"),
        pytest.param(
            {"exit_code": 137, "ending": Ending(F.INTERRUPTED, "killed")}, False, id="killed"
        ),
    ],
)
def test_a_word_is_looked_for_where_there_may_be_one(ending: dict, is_looked_for: bool) -> None:
    scene = training()
    scene = scene.ended(scene.live, **ending).settled().passed(600).settled()
    assert (scene.children[-1].stage is Stage.COLLECT) is is_looked_for


def test_prepare_is_run_again_for_its_place_is_not_known_without_its_word() -> None:
    scene = lost(Scene().settled()).passed(600).settled()
    assert names(scene) == ["r1-prepare-1", "r1-prepare-2"]


def test_a_look_is_recorded_before_it_starts_and_names_the_lost_attempt() -> None:
    scene = training().crashed(exit_code=0)
    recorded = scene.decided()
    assert (recorded.actions, recorded.requeue_after_s) == ((), 0)
    (action,) = scene.stepped().decided().actions
    assert isinstance(action, StartStage)
    assert action.name.endswith("-r1-collect-1")
    assert action.command == "collect"
    assert action.request.lost == LostAttempt(stage=Stage.TRAIN, attempt=1)
    assert action.request.run_id == run_of(scene).id


def test_nothing_starts_beside_a_look() -> None:
    scene = lost(training())
    assert [child.name for child in scene.children if child.is_unfinished] == [scene.live.name]
    assert scene.passed(7200).settled().children == scene.children
    assert reason(scene) == "Collecting"


@pytest.mark.parametrize(
    ("begun", "expected"),
    [
        pytest.param(training, "r1-judge-1", id="training goes on to the judge"),
        pytest.param(judging, "r1-collect-1", id="a judgement is the end"),
    ],
)
def test_what_is_found_counts_as_if_it_had_been_said(begun: Any, expected: str) -> None:
    scene = lost(begun()).succeeded().settled()
    assert names(scene)[-1] == expected
    assert (run_of(scene).lost, run_of(scene).failures) == (None, 0)
    assert run_of(scene).stage is Stage.JUDGE


def test_a_found_verdict_is_shown_with_its_details() -> None:
    scene = lost(judging()).succeeded(verdict="Reject").settled()
    assert (scene.job.status.phase, reason(scene)) == ("Succeeded", "Reject")


def test_the_time_of_the_lost_attempt_is_paid_once_and_is_no_waste() -> None:
    scene = training(compute={"gpus": 2})
    scene = scene.reporting(started=START).passed(100)
    scene = lost(scene).passed(50).succeeded(Details(cost=Cost(tokens_per_second=7))).settled()
    cost = scene.job.status.cost
    assert cost is not None
    assert (cost.gpu_seconds, cost.wasted_gpu_seconds) == (200, 0)
    assert cost.tokens_per_second == 7


def test_where_nothing_is_found_the_stage_is_tried_again_after_the_usual_pause() -> None:
    scene = lost(training()).found_nothing().settled()
    assert reason(scene) == "Unexpected"
    assert run_of(scene).failures == 1
    assert scene.decided().requeue_after_s == 10
    assert scene.passed(10).settled().live.name.endswith("r1-train-2")


@pytest.mark.parametrize(
    "told",
    [
        pytest.param({"attempt": 7}, id="of an older attempt"),
        pytest.param({"run": 2}, id="of another run"),
        pytest.param({"uid": "other"}, id="of another object"),
        pytest.param({"stage": Stage.JUDGE}, id="of another stage"),
    ],
)
def test_the_word_of_another_is_no_word(told: dict) -> None:
    scene = lost(training(retry={"maxAttempts": 1}))
    scene = scene.succeeded(**told).settled().passed(600).settled()
    assert names(scene)[-1] == "r1-collect-1"
    assert (scene.job.status.phase, reason(scene)) == ("Failed", "Unexpected")


def test_a_found_failure_is_decided_by_its_class_and_its_checkpoint() -> None:
    scene = training(retry={"maxAttempts": 1})
    scene = scene.ended(scene.live, disruption=GONE).settled()
    word = {"failure": F.INTERRUPTED, "message": "stopped at step 9", "checkpoint_step": 9}
    scene = scene.succeeded(**word).settled()
    assert scene.live.name.endswith("r1-train-2")  # free: it had advanced
    assert run_of(scene).checkpoint_step == 9


def test_a_disrupted_attempt_without_a_word_is_what_it_was_before() -> None:
    scene = training(retry={"maxAttempts": 1})
    scene = scene.ended(scene.live, disruption=GONE).settled()
    scene = scene.found_nothing().settled()
    assert (scene.job.status.phase, reason(scene)) == ("Failed", "NodeLost")
    assert "its node is gone" in run_of(scene).message


def test_a_store_that_is_away_is_waited_for_and_then_the_stage_is_tried_again() -> None:
    scene = lost(training())
    for attempt in (1, 2):
        assert scene.live.name.endswith(f"r1-collect-{attempt}")
        scene = scene.failed(F.UNAVAILABLE).settled()
        assert (scene.decided().requeue_after_s, reason(scene)) == (10 * attempt, "Unavailable")
        scene = scene.passed(600).settled()
    scene = scene.failed(F.UNAVAILABLE).settled()
    assert (reason(scene), run_of(scene).failures) == ("Unexpected", 1)
    assert scene.passed(600).settled().live.name.endswith("r1-train-2")


def test_a_missing_secret_is_waited_for_as_long_as_it_takes() -> None:
    scene = lost(training())
    for _ in range(8):
        scene = scene.failed(F.SECRET_NOT_FOUND).settled().passed(3600).settled()
    assert scene.live.name.endswith("r1-collect-9")
    assert scene.succeeded().settled().live.name.endswith("r1-judge-1")


def test_failures_before_the_lost_word_still_count() -> None:
    scene = training(retry={"maxAttempts": 2}).failed(F.UNAVAILABLE).settled()
    scene = lost(scene.passed(600).settled()).failed(F.UNAVAILABLE).settled().passed(600).settled()
    scene = scene.found_nothing().settled()
    assert (scene.job.status.phase, run_of(scene).failures) == ("Failed", 1)


def test_the_lost_word_of_a_look_is_looked_for_again_and_not_by_another_look() -> None:
    scene = lost(lost(training()).passed(600)).passed(600).settled()
    assert names(scene)[-2:] == ["r1-collect-1", "r1-collect-2"]
    assert run_of(scene).lost is not None
    assert run_of(scene).lost.stage is Stage.TRAIN


def test_a_look_that_was_deleted_by_hand_is_started_again() -> None:
    scene = lost(training())
    assert scene.vanished().settled().live.name == scene.live.name


def test_a_suspended_job_looks_when_it_is_resumed() -> None:
    scene = lost(training()).edited(suspend=True).settled()
    assert scene.live.state is ChildState.STOPPING
    scene = scene.crashed(exit_code=143).settled()
    assert scene.job.status.phase == "Suspended"
    scene = scene.edited(suspend=False).settled()
    assert scene.live.name.endswith("r1-collect-2")
    assert scene.succeeded().settled().live.name.endswith("r1-judge-1")


def test_a_new_spec_ends_a_look_and_forgets_it() -> None:
    scene = lost(training()).edited(lora={"rank": 8}).settled()
    scene = scene.crashed(exit_code=143).settled()
    assert scene.live.name.endswith("r2-prepare-1")
    assert run_of(scene).lost is None


AT_ONCE_OR_LATER = pytest.mark.parametrize(
    "begin",
    [
        pytest.param(lambda: lost(training()), id="while it is looked for"),
        pytest.param(lambda: training().crashed(exit_code=0), id="before it is looked for"),
    ],
)


@AT_ONCE_OR_LATER
def test_answers_for_older_settings_are_made_anew_after_a_look(begin: Any) -> None:
    scene = begin().edited(evaluation={"fewShotExamples": 3}).settled()
    assert scene.succeeded().settled().live.name.endswith("r1-train-2")


@AT_ONCE_OR_LATER
def test_a_failure_of_an_older_spec_is_not_the_end(begin: Any) -> None:
    scene = begin().edited(compute={"gpus": 0, "image": "mended:1"}).settled()
    assert scene.live.stage is Stage.COLLECT
    word = {"failure": F.DIVERGED, "message": "because"}
    assert scene.succeeded(**word).settled().live.name.endswith("r1-train-2")


def test_a_lost_word_of_a_pin_leaves_the_run_as_failed_as_it_is() -> None:
    scene = training().failed(F.DIVERGED).settled()
    scene = lost(scene.edited(promotion={"pin": "1" * 16}).settled())
    assert scene.live.stage is Stage.COLLECT
    scene = scene.succeeded(verdict="").settled()
    assert (scene.job.status.phase, reason(scene)) == ("Failed", "Diverged")
    assert scene.tidied().decided().requeue_after_s is None


@pytest.mark.parametrize("failure", sorted(EXIT_CODES))
def test_a_look_that_fails_in_any_way_ends(failure: FailureClass) -> None:
    """Whatever a look comes to, the run gets on."""
    scene = lost(training())
    for _ in range(3):
        if scene.live.stage is Stage.COLLECT:
            scene = scene.failed(failure).settled().passed(3600).settled()
    is_waiting = failure in (F.SECRET_NOT_FOUND, F.ACCESS_DENIED, F.NOT_FOUND)
    assert (scene.live.stage is Stage.COLLECT) is is_waiting
    assert is_waiting or scene.live.name.endswith("r1-train-2")


def test_an_outcome_is_of_the_look_only_where_it_says_so() -> None:
    """A look's own word about its own attempt is an answer: there is none."""
    scene = lost(training())
    other = an_outcome(replace(scene.live, attempt=9))
    scene = scene.ended(scene.live, outcome=other, exit_code=0)
    assert scene.settled().passed(600).settled().live.name.endswith("r1-collect-2")
