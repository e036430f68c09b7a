"""Runs with a deadline or a budget: what counts, what ends them, what lets them go on."""

from dataclasses import replace

import pytest
from builders.jobs import Scene, a_job
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.api.conditions import ConditionType
from controller.api.reasons import Reason
from controller.core.children import ChildState, Ending
from controller.core.conditions import find
from controller.core.decide import decide
from trainer.contract.failures import FailureClass
from trainer.contract.limit import SoftLimit
from trainer.contract.request import Stage

C, F = ConditionType, FailureClass
DEADLINE = {"activeDeadlineSeconds": 1000}
BUDGET = {"budget": {"maxGpuSeconds": 1000}, "compute": {"gpus": 2}}


def at(stage: Stage, *, after_s: float = 0, **spec) -> Scene:
    """The stage has just started; each before it took so long."""
    scene = Scene(job=a_job(**spec)).settled()
    while scene.live.stage is not stage:
        scene = scene.passed(after_s).succeeded().settled()
    return scene


def started(scene: Scene) -> list[tuple[str, SoftLimit | None, int | None]]:
    """Every child that the next decisions start: stage, soft limit, backstop."""
    found = []
    for _ in range(6):
        decision = decide(scene.observed())
        asked = [action for action in decision.actions if hasattr(action, "request")]
        found += [(a.request.stage.value, a.request.limit, a.backstop_s) for a in asked]
        scene = scene.stepped()
    return found


def said(scene: Scene, kind: ConditionType) -> tuple[str, str]:
    found = find(scene.job.status.conditions, kind)
    assert found is not None
    return found.status, found.reason.value


def limit(seconds: int, failure: FailureClass = F.DEADLINE_EXCEEDED) -> SoftLimit:
    return SoftLimit(seconds=seconds, failure=failure)


def test_without_limits_a_request_is_what_it_was():
    scene = at(Stage.PREPARE).passed(10).succeeded()
    ((stage, told, backstop),) = started(scene)
    assert (stage, told, backstop) == ("train", None, None)


def test_each_attempt_gets_what_those_before_it_left():
    scene = at(Stage.TRAIN, after_s=100, **DEADLINE)
    again = scene.passed(200).failed(F.INTERRUPTED, checkpoint_step=3)
    assert started(again) == [("train", limit(700), 1000)]


def test_a_disruption_that_is_free_of_attempts_still_costs_time():
    scene = at(Stage.TRAIN, **BUDGET)
    child = scene.live
    again = scene.passed(200).ended(child, disruption="evicted", exit_code=143)
    assert started(again.settled().passed(20)) == [("train", limit(300, F.BUDGET_EXCEEDED), 600)]


def test_time_between_attempts_suspended_or_in_the_queue_does_not_count():
    scene = at(Stage.TRAIN, **DEADLINE).passed(100).failed(F.UNAVAILABLE).settled()
    waited = replace(scene.passed(5000), queue_position=2).settled()
    held = replace(waited, queue_position=0).edited(suspend=True).settled().passed(9000)
    assert started(held.edited(suspend=False)) == [("train", limit(900), 1200)]


def test_an_attempt_that_only_found_something_missing_does_not_count():
    scene = at(Stage.PREPARE, **DEADLINE).passed(400).failed(F.SECRET_NOT_FOUND).settled()
    assert started(scene.passed(60)) == [("prepare", limit(1000), 1300)]


def test_a_pod_that_was_suspended_counts_up_to_its_end():
    scene = at(Stage.TRAIN, **DEADLINE).passed(100).edited(suspend=True).settled()
    ended = scene.ended(scene.live, exit_code=23).settled().passed(9000)
    assert started(ended.edited(suspend=False)) == [("train", limit(900), 1200)]


def test_an_attempt_that_vanished_counts_as_far_as_it_was_seen():
    scene = at(Stage.TRAIN, **BUDGET).passed(100)
    stopping = scene.reporting(state=ChildState.STOPPING, is_stopped=True).settled()
    gone = stopping.vanished().settled()
    assert gone.job.status.cost.gpu_seconds == 200
    assert gone.job.status.run.active_seconds == 100


SPENT = [
    pytest.param(DEADLINE, F.DEADLINE_EXCEEDED, "activeDeadlineSeconds", id="the deadline"),
    pytest.param(BUDGET, F.BUDGET_EXCEEDED, "maxGpuSeconds", id="the budget"),
]


@pytest.mark.parametrize(("spec", "failure", "field"), SPENT)
def test_with_nothing_left_no_attempt_starts(spec, failure, field):
    scene = at(Stage.TRAIN, **spec).passed(1100).failed(F.INTERRUPTED, checkpoint_step=9)
    ended = scene.settled()
    assert said(ended, C.SUCCEEDED) == ("False", failure.value)
    assert f"raise {'budget.' if 'budget' in spec else ''}{field}" in ended.job.status.run.message
    assert [child.attempt for child in ended.children if child.stage is Stage.TRAIN] == [1]
    assert ended.job.status.run.attempts["train"] == 1


def test_a_prepare_that_used_all_of_it_asks_for_no_gpu():
    scene = at(Stage.PREPARE, **DEADLINE).passed(1000).succeeded().settled()
    assert said(scene, C.FINISHED) == ("True", "DeadlineExceeded")
    assert [child.stage for child in scene.children] == [Stage.PREPARE]


def test_a_trained_adapter_is_judged_although_nothing_is_left():
    scene = at(Stage.TRAIN, **DEADLINE).passed(1250).succeeded()
    assert started(scene) == [("judge", None, 300)]


OVERDUE = [
    pytest.param(DEADLINE, F.DEADLINE_EXCEEDED, id="of the deadline"),
    pytest.param(BUDGET, F.BUDGET_EXCEEDED, id="of the budget"),
]


@pytest.mark.parametrize(("spec", "failure"), OVERDUE)
def test_a_pod_that_is_ended_at_its_backstop_fails_by_the_narrower_limit(spec, failure):
    scene = at(Stage.TRAIN, **spec).passed(1400)
    overdue = Ending(F.DEADLINE_EXCEEDED, "ended at its backstop")
    ended = scene.ended(scene.live, ending=overdue, exit_code=137).settled()
    assert said(ended, C.FINISHED) == ("True", failure.value)


def test_a_judge_that_is_ended_at_its_backstop_fails_by_the_deadline():
    scene = at(Stage.JUDGE, **DEADLINE).passed(1300)
    overdue = scene.reporting(ending=Ending(F.DEADLINE_EXCEEDED, "ended at its backstop"))
    ended = overdue.failed(F.INTERRUPTED).settled()
    assert said(ended, C.FINISHED) == ("True", "DeadlineExceeded")


RAISED = [
    pytest.param(DEADLINE, {"activeDeadlineSeconds": 3000}, 2000, id="the deadline"),
    pytest.param(BUDGET, {"budget": {"maxGpuSeconds": 3000}}, 1000, id="the budget"),
]


@pytest.mark.parametrize(("spec", "raised", "seconds"), RAISED)
def test_a_raised_limit_resumes_a_run_that_failed_by_it(spec, raised, seconds):
    took_s = 1000 if spec is DEADLINE else 500
    failure = F.DEADLINE_EXCEEDED if spec is DEADLINE else F.BUDGET_EXCEEDED
    failed = at(Stage.TRAIN, **spec).passed(took_s).failed(failure).settled()
    assert failed.job.status.phase == "Failed"
    ((stage, told, _),) = started(failed.edited(**raised))
    assert (stage, told) == ("train", limit(seconds, failure))


def partial(**spec) -> Scene:
    """A run that its limit cut short, judged; 50 s of it are left."""
    scene = at(Stage.TRAIN, **spec).passed(950 if spec == DEADLINE else 475)
    scene = scene.succeeded(partial=True, message="training was ended at step 4 of 10").settled()
    return scene.succeeded(verdict="Promote").settled()


def test_a_partial_run_is_judged_and_said_to_be_partial():
    scene = partial(**DEADLINE)
    assert said(scene, C.TRAINED) == ("True", "Partial")
    assert said(scene, C.SUCCEEDED) == ("True", "Promote")
    assert scene.job.status.run.partial
    assert [entry.partial for entry in scene.job.status.history] == [True]


def test_an_event_tells_that_a_run_is_partial():
    scene = at(Stage.TRAIN, **DEADLINE).passed(950).succeeded(partial=True, message="at step 4")
    warned = [event for event in scene.decided().events if event.reason is Reason.PARTIAL]
    assert [(event.type, event.message) for event in warned] == [("Warning", "at step 4")]


TRAINS_ON = [
    pytest.param(DEADLINE, {"activeDeadlineSeconds": 2000}, limit(1050), id="raised"),
    pytest.param(DEADLINE, {"activeDeadlineSeconds": None}, None, id="removed"),
    pytest.param(
        BUDGET,
        {"budget": {"maxGpuSeconds": 2000}},
        limit(525, F.BUDGET_EXCEEDED),
        id="a raised budget",
    ),
]


@pytest.mark.parametrize(("spec", "edit", "told"), TRAINS_ON)
def test_a_raised_limit_trains_a_partial_run_on(spec, edit, told):
    assert [found[:2] for found in started(partial(**spec).edited(**edit))] == [("train", told)]


STAYS = [
    pytest.param({"activeDeadlineSeconds": 900}, id="lowered"),
    pytest.param({"retry": {"maxAttempts": 5}}, id="another field of execution"),
    pytest.param({"budget": {"maxGpuSeconds": 9000}}, id="a limit that was not the narrower"),
    pytest.param({"historyLimit": 3}, id="a field of control"),
]


@pytest.mark.parametrize("edit", STAYS)
def test_any_other_change_leaves_a_partial_run_as_it_is(edit):
    assert started(partial(**DEADLINE).edited(**edit)) == []


def test_a_whole_training_with_time_to_spare_is_not_trained_again_by_a_raised_limit():
    scene = at(Stage.TRAIN, **DEADLINE).passed(900).succeeded().settled()
    judged = scene.succeeded(verdict="Reject").settled()
    assert started(judged.edited(activeDeadlineSeconds=5000)) == []


def test_training_that_went_on_to_its_end_is_no_longer_partial():
    scene = partial(**DEADLINE).edited(activeDeadlineSeconds=9000).settled()
    scene = scene.passed(10).succeeded().settled().succeeded(verdict="Promote").settled()
    assert said(scene, C.TRAINED) == ("True", "Trained")
    assert [entry.partial for entry in scene.job.status.history] == [False]


def test_a_new_run_has_its_limits_to_itself():
    scene = partial(**DEADLINE).annotated(rerun="again")
    assert started(scene) == [("prepare", limit(1000), 1300)]


ENDS = st.tuples(
    st.integers(0, 700),
    st.sampled_from(["interrupted", "evicted", "crashed", "unavailable", "vanished", "no word"]),
)


@settings(max_examples=150, deadline=None, database=None)
@given(spec=st.sampled_from([DEADLINE, BUDGET]), ends=st.lists(ENDS, max_size=12))
def test_whatever_fails_the_remainders_never_exceed_the_limit(spec, ends):
    gpus = spec.get("compute", {}).get("gpus", 1)
    scene = at(Stage.TRAIN, retry={"maxAttempts": 100}, **spec)
    used = 0.0
    for seconds, how in ends:
        scene = scene.settled().passed(3600).settled()  # any pause is over
        live = [child for child in scene.children if child.is_unfinished]
        if not live:
            assert used >= 1000 - gpus
            return
        told = started_limit(scene)
        assert told * gpus <= 1000 - used
        scene = ended_by(fresh(scene).passed(seconds), how)
        used += seconds * gpus
    assert scene.job.status.run.attempts["train"] <= len(ends) + 1


def fresh(scene: Scene) -> Scene:
    """The live attempt, as if it had taken its place just now."""
    return scene.reporting(started=scene.now)


def started_limit(scene: Scene) -> int:
    """What the live attempt was told."""
    live = scene.live
    before = replace(scene, children=tuple(c for c in scene.children if c is not live))
    (action,) = [a for a in decide(before.observed()).actions if a.name == live.name]
    return action.request.limit.seconds


def ended_by(scene: Scene, how: str) -> Scene:
    match how:
        case "interrupted":
            return scene.failed(F.INTERRUPTED, checkpoint_step=scene.job.status.run.attempt)
        case "evicted":
            return scene.ended(scene.live, disruption="evicted")
        case "crashed":
            return scene.crashed(1)
        case "unavailable":
            return scene.failed(F.UNAVAILABLE)
        case "vanished":
            stopping = scene.reporting(state=ChildState.STOPPING, is_stopped=True).settled()
            return stopping.vanished()
        case _:
            return scene.crashed(0)
