"""Who wants to look at a source, who takes a place for it, and what is said of one that waits."""

import pytest
from builders.base_models import WRITE_BACK, BaseScene, a_base_model

from controller.api.reasons import Reason
from controller.core.children import ChildState, Obstacle
from controller.core.watching.line import is_look_refused, is_looking, wants_to_look
from controller.core.watching.observed import ObservedBase
from trainer.contract.failures import FailureClass

QUOTA = Obstacle(Reason.QUOTA_EXCEEDED, "exceeded quota")
NO_NODE = Obstacle(Reason.UNSCHEDULABLE, "no node takes the pod")


def new(**spec):
    return BaseScene(a_base_model(**spec))


def observed(scene, position=0):
    return ObservedBase(
        scene.base, scene.now, scene.children, scene.settings, scene.obstacle, position
    )


@pytest.mark.parametrize(
    ("scene", "wants"),
    [
        pytest.param(new(), True, id="never looked"),
        pytest.param(new(suspend=True), False, id="suspended"),
        pytest.param(new(source={"directory": {"path": "/x"}}), False, id="refused"),
        pytest.param(new().settled(), False, id="under way"),
        pytest.param(new().looked("a"), False, id="looked a moment ago"),
        pytest.param(new().looked("a").annotated("now"), True, id="somebody asks for a look"),
        pytest.param(
            new().looked("a").edited(source={"huggingFace": {"repo": "acme/b"}}),
            True,
            id="another source",
        ),
        pytest.param(
            new().settled().failed(FailureClass.UNAVAILABLE), False, id="pauses after a failure"
        ),
    ],
)
def test_a_look_that_is_due_and_not_under_way_is_wanted(scene, wants):
    assert wants_to_look(observed(scene)) is wants


@pytest.mark.parametrize(
    ("fields", "looks", "is_refused"),
    [
        pytest.param({}, True, False, id="it runs"),
        pytest.param({"state": ChildState.PENDING}, True, False, id="it starts"),
        pytest.param({"state": ChildState.PENDING, "wait": NO_NODE}, True, False, id="no node"),
        pytest.param(
            {"state": ChildState.PENDING, "wait": QUOTA}, False, True, id="its namespace is full"
        ),
    ],
)
def test_a_look_that_its_own_namespace_keeps_out_takes_no_place(fields, looks, is_refused):
    scene = observed(new().settled().reporting(**fields))
    assert is_looking(scene) is looks
    assert is_look_refused(scene) is is_refused


def test_a_look_that_is_refused_at_its_creation_takes_no_place():
    scene = new().hindered(Reason.ADMISSION_DENIED).settled()
    assert is_look_refused(observed(scene))
    assert not is_looking(observed(scene))


def test_who_waits_for_its_first_look_starts_nothing_and_says_so():
    scene = new().in_line(3).settled()
    assert scene.started == ()
    assert scene.ready == ("Unknown", "Queued")
    assert scene.conditions == {"Ready": "Unknown", "Reconciling": "True"}
    assert "max_concurrent_looks" in scene.message
    assert scene.decided().requeue_after_s is None  # it is woken when it is its turn
    assert scene.writes == 1


def test_another_position_is_no_other_status():
    scene = new().in_line(3).settled()
    assert scene.in_line(2).settled().writes == scene.writes


def test_when_it_is_its_turn_it_looks():
    scene = new().in_line(3).settled().in_line(0).settled()
    assert scene.ready == ("Unknown", "Resolving")
    assert len(scene.started) == 1


def test_a_later_look_that_waits_leaves_what_is_known():
    known = new().looked("a")
    scene = known.in_line(3).annotated("now").settled()
    assert scene.ready == known.ready
    assert len(scene.started) == 1


def test_a_write_back_waits_for_nobody():
    scene = new(writeBack=WRITE_BACK).settled().in_line(9).found("a")
    assert scene.live.errand == "write-back"


def test_who_waits_to_look_comes_back_for_a_write_back_that_pauses():
    failed = new(writeBack=WRITE_BACK).settled().found("a").failed(FailureClass.UNAVAILABLE)
    waiting = failed.annotated("now").in_line(9).settled()
    assert waiting.decided().requeue_after_s == pytest.approx(10.0)
