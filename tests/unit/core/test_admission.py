"""A train stage that waits for Kueue: what is said, what is counted, and who holds a place."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from builders.jobs import START, Scene, a_job

from controller.api.reasons import Reason
from controller.api.status import Images
from controller.core.actions import StartStage, StopStage
from controller.core.admission import is_left_to_queue
from controller.core.children import ChildState, Ending, Obstacle, Span
from controller.core.conditions import ConditionType, find
from controller.core.observed import Settings
from trainer.contract.failures import FailureClass

SUSPENDED = Ending(Reason.INTERRUPTED, "its Job was suspended")
COMPUTE = {"gpus": 2, "queueName": "gpus"}
ON_A_CLUSTER = Settings(images=Images(cpu="small", trainer="big"))
WAITING: dict[str, Any] = {"state": ChildState.PENDING, "is_suspended": True, "queue": "gpus"}
RUNNING: dict[str, Any] = {"state": ChildState.RUNNING, "is_suspended": False, "queue": "gpus"}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def span(start: float, end: float | None = None) -> Span:
    return Span(at(start), None if end is None else at(end))


def at_train(**compute: Any) -> Scene:
    """The train stage has just been created."""
    return at_prepare(**compute).succeeded().settled()


def at_prepare(**compute: Any) -> Scene:
    job = a_job(compute={**COMPUTE, **compute})
    return Scene(job=job, settings=ON_A_CLUSTER).settled()


def waiting(**fields: Any) -> Scene:
    return at_train().reporting(**{**WAITING, **fields}).settled()


def shown(scene: Scene) -> tuple[str, str]:
    said = find(scene.job.status.conditions, ConditionType.FINISHED)
    assert said is not None
    return scene.job.status.phase, said.reason


def message(scene: Scene) -> str:
    said = find(scene.job.status.conditions, ConditionType.FINISHED)
    assert said is not None
    return said.message


def test_the_record_of_the_attempt_says_already_that_it_will_wait() -> None:
    recorded = at_prepare().succeeded().stepped()
    assert shown(recorded) == ("Queued", "NotAdmitted")
    created = recorded.stepped().reporting(**WAITING)
    assert created.decided().status == recorded.job.status  # no write more than for any stage


def test_a_process_on_this_machine_waits_for_no_queue() -> None:
    scene = Scene(job=a_job(compute=COMPUTE)).settled().succeeded().stepped()
    assert shown(scene) == ("Running", "Training")


def test_one_event_tells_that_it_waits() -> None:
    scene, events = at_prepare().succeeded(), []
    for _ in range(4):
        events += scene.decided().events
        scene = scene.stepped()
        if scene.job.status.run and scene.job.status.run.stage == "train" and scene.children[1:]:
            scene = scene.reporting(**WAITING)
    told = [event for event in events if event.reason == Reason.NOT_ADMITTED]
    assert [event.type for event in told] == ["Normal"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({}, "waits in the queue gpus to be admitted by Kueue", id="never ran"),
        pytest.param(
            {"spans": (span(0),)}, "is being preempted by Kueue (queue gpus)", id="its pod ends"
        ),
        pytest.param(
            {"spans": (span(0, 5),)}, "was preempted by Kueue (queue gpus)", id="its pod ended"
        ),
        pytest.param({"queue": ""}, "was suspended by somebody else", id="by hand"),
        pytest.param(
            {"wait": Obstacle(Reason.NOT_ADMITTED, "no quota")},
            "; Kueue says: no quota; it starts when",
            id="Kueue's own words",
        ),
        pytest.param(
            {"wait": Obstacle(Reason.UNSCHEDULABLE, "no node takes it")},
            "to be admitted by Kueue; it starts when",
            id="what its last pod waited for says nothing now",
        ),
    ],
)
def test_the_message_says_what_it_waits_for(fields: dict[str, Any], said: str) -> None:
    scene = waiting(**fields)
    assert shown(scene) == ("Queued", "NotAdmitted")
    assert said in message(scene)


def test_an_admitted_attempt_trains() -> None:
    scene = waiting().reporting(**RUNNING).settled()
    assert shown(scene) == ("Running", "Training")


def test_nothing_is_done_about_what_waits() -> None:
    scene = waiting()
    assert scene.decided().actions == ()
    assert scene.passed(1e6).decided().actions == ()


def test_another_queue_replaces_the_attempt_that_waits() -> None:
    decision = waiting().edited(compute={**COMPUTE, "queueName": "other"}).decided()
    assert [type(action) for action in decision.actions] == [StopStage]


def test_another_queue_leaves_the_attempt_that_runs() -> None:
    scene = waiting().reporting(**RUNNING).edited(compute={**COMPUTE, "queueName": "other"})
    assert scene.decided().actions == ()


def test_the_pods_of_an_attempt_are_counted_once_each_and_the_wait_between_them_not() -> None:
    first, second = span(0, 60), span(1000, 1030)
    scene = waiting(spans=(first,)).passed(500).settled()
    run = scene.job.status.run
    assert run is not None
    assert run.preempted is not None
    assert (run.preempted.count, run.preempted.seconds) == (1, 60)
    scene = scene.reporting(**RUNNING, spans=(first, span(1000))).passed(500).settled()
    scene = scene.reporting(spans=(first, second)).succeeded().settled()
    cost, run = scene.job.status.cost, scene.job.status.run
    assert cost is not None
    assert run is not None
    assert (cost.gpu_seconds, cost.wall_seconds, cost.wasted_gpu_seconds) == (180, 90, 0)
    assert run.preempted is None  # of the attempt that is over


def test_a_pod_that_is_forgotten_stays_counted() -> None:
    scene = waiting(spans=(span(0, 60),)).reporting(**RUNNING, spans=(span(1000, 1030),))
    scene = scene.passed(2000).succeeded().settled()
    assert scene.job.status.cost is not None
    assert scene.job.status.cost.gpu_seconds == 180


def test_each_preemption_is_counted() -> None:
    scene = waiting(spans=(span(0, 60),)).reporting(spans=(span(0, 60), span(100, 140))).settled()
    run = scene.job.status.run
    assert run is not None
    assert run.preempted is not None
    assert (run.preempted.count, run.preempted.seconds) == (2, 100)
    assert scene.decided().status == scene.job.status


def test_an_attempt_that_was_killed_while_suspended_is_followed_by_one_that_waits() -> None:
    scene = waiting(is_stopped=True, disruption=SUSPENDED).crashed(137).stepped()
    run = scene.job.status.run
    assert run is not None
    assert (run.attempt, run.failures) == (2, 0)
    assert shown(scene.stepped()) == ("Queued", "NotAdmitted")


def test_a_failure_of_its_own_counts_also_while_it_is_suspended() -> None:
    scene = waiting(is_stopped=True).failed(FailureClass.DIVERGED).settled()
    assert shown(scene) == ("Failed", "Diverged")


LEFT = [
    pytest.param(at_train(), True, id="train in a queue"),
    pytest.param(at_train(queueName=None), False, id="train without one"),
    pytest.param(at_prepare(), False, id="prepare"),
    pytest.param(
        Scene(job=a_job()).settled().reporting(**{**WAITING, "queue": ""}), True, id="by hand"
    ),
    pytest.param(
        at_train().edited(training={"seed": 3}), False, id="a new run begins with prepare"
    ),
    pytest.param(at_train().succeeded().settled(), False, id="judge"),
]


@pytest.mark.parametrize(("scene", "expected"), LEFT)
def test_who_says_when_the_work_goes_on(scene: Scene, *, expected: bool) -> None:
    assert is_left_to_queue(scene.observed()) is expected


def test_a_suspended_object_ends_its_wait() -> None:
    scene = waiting().edited(compute=COMPUTE, suspend=True)
    decision = scene.decided()
    assert [type(action) for action in decision.actions] == [StopStage]
    assert decision.status.phase == "Suspended"


def test_an_attempt_that_never_started_is_created_again_under_its_name() -> None:
    scene = waiting()
    (action,) = scene.vanished().decided().actions
    assert isinstance(action, StartStage)
    assert action.name == scene.live.name
