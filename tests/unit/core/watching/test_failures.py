"""Looks that fail: what is said, when they are tried again, how they heal."""

import pytest
from builders.base_models import BaseScene, a_base_model

from controller.api.reasons import Reason
from controller.core.children import ChildState, Ending, Obstacle
from controller.core.watching.conditions import TABLE, State
from trainer.contract.errand import Cause
from trainer.contract.failures import FailureClass

F = FailureClass

TRANSIENT = [
    (F.UNAVAILABLE, None, "Unavailable"),
    (F.UNAVAILABLE, Cause.RATE_LIMITED, "RateLimited"),
    (F.INTERRUPTED, None, "Interrupted"),
    (F.UNEXPECTED, None, "Unexpected"),
    (F.DEADLINE_EXCEEDED, None, "DeadlineExceeded"),
    (F.HOST_OUT_OF_MEMORY, None, "HostOutOfMemory"),
]
USERS = [
    (F.NOT_FOUND, None, "NotFound"),
    (F.ACCESS_DENIED, None, "AccessDenied"),
    (F.SECRET_NOT_FOUND, None, "SecretNotFound"),
    (F.INVALID_SPEC, None, "InvalidSpec"),
    (F.INVALID_DATA, Cause.UNSAFE_WEIGHTS, "UnsafeWeights"),
]
ROWS = [
    pytest.param(*row, stalled, id=f"{row[2]} {'is for people' if stalled else 'passes'}")
    for rows, stalled in ((TRANSIENT, False), (USERS, True))
    for row in rows
]


@pytest.mark.parametrize(("failure", "cause", "reason", "is_stalled"), ROWS)
def test_each_failure_shows_as_what_it_is_and_is_tried_again(failure, cause, reason, is_stalled):
    scene = BaseScene().settled().failed(failure, cause)
    assert scene.ready == ("False", reason)
    row = TABLE[State.STALLED if is_stalled else State.RETRYING]
    wanted = {"Ready": row.ready, "Reconciling": row.reconciling, "Stalled": row.stalled}
    assert scene.conditions == {kind: truth for kind, truth in wanted.items() if truth}
    assert scene.message.startswith("resolve: because; ")
    assert "tried again by itself" in scene.message
    assert scene.events == [reason]
    assert scene.waited().has_live


@pytest.mark.parametrize(("failure", "cause", "reason", "is_stalled"), ROWS)
def test_it_heals_by_itself_and_the_revision_stays_usable(failure, cause, reason, is_stalled):
    del is_stalled
    scene = BaseScene().settled().found("a").waited().failed(failure, cause)
    assert scene.ready == ("False", reason)
    assert scene.latest == "rev-a"
    assert "revision rev-a stays usable" in scene.message
    healed = scene.waited().found("a")
    assert healed.ready == ("True", "Resolved")
    assert healed.conditions == {"Ready": "True"}
    assert healed.status.look_failure is None


def test_the_pause_doubles_up_to_the_poll_period():
    scene = BaseScene(base=a_base_model(pollPeriodSeconds=300)).settled()
    pauses = []
    for _ in range(7):
        scene = scene.failed(F.UNAVAILABLE)
        pauses.append(scene.decided().requeue_after_s)
        scene = scene.waited()
    assert pauses == [10, 20, 40, 80, 160, 300, 300]


def test_a_failure_that_lasts_is_told_once():
    scene = BaseScene().settled().failed(F.UNAVAILABLE).waited().failed(F.UNAVAILABLE)
    assert scene.events == ["Unavailable"]
    assert scene.waited().failed(F.NOT_FOUND).events == ["Unavailable", "NotFound"]


@pytest.mark.parametrize(
    ("asked", "pause"),
    [
        pytest.param(1800, 1800, id="the reset is waited for"),
        pytest.param(0, 10, id="a reset that is over still leaves a pause"),
        pytest.param(10**9, 86400, id="nobody is sent away for years"),
    ],
)
def test_a_rate_limit_is_honoured(asked, pause):
    told = {"retry_after_seconds": asked}
    scene = BaseScene().settled().failed(F.UNAVAILABLE, Cause.RATE_LIMITED, **told)
    assert scene.ready == ("False", "RateLimited")
    assert scene.decided().requeue_after_s == pause
    assert not scene.passed(pause - 1).has_live
    assert scene.passed(pause).has_live


def test_the_candidate_is_not_looked_at_before_the_pause_is_over():
    scene = BaseScene().settled().found("a").looked("b").passed(600)
    limited = scene.failed(F.UNAVAILABLE, Cause.RATE_LIMITED, retry_after_seconds=1800)
    assert limited.decided().requeue_after_s == 1800
    assert limited.waited().found("b").latest == "rev-b"


def test_a_mended_spec_is_looked_at_at_once_and_counts_from_one():
    missing = {"huggingFace": {"repo": "acme/tiny", "secretRef": {"name": "wrong"}}}
    scene = BaseScene(base=a_base_model(source=missing)).settled().failed(F.SECRET_NOT_FOUND)
    scene = scene.waited().failed(F.SECRET_NOT_FOUND)
    mended = scene.edited(source={"huggingFace": {"repo": "acme/tiny"}}).settled()
    assert mended.has_live
    assert mended.ready == ("False", "Retrying")
    assert mended.conditions["Reconciling"] == "True"
    assert mended.failed(F.UNAVAILABLE).status.look_failure.failures == 1
    assert mended.found("a").ready == ("True", "Resolved")


def test_another_poll_period_does_not_end_a_pause():
    scene = BaseScene().settled().failed(F.UNAVAILABLE).edited(pollPeriodSeconds=7200).settled()
    assert not scene.has_live


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param(
            {"disruption": Ending(Reason.EVICTED, "evicted")}, "Evicted", id="an eviction"
        ),
        pytest.param({"exit_code": 1}, "Unexpected", id="a crash"),
        pytest.param({"exit_code": 0}, "Unexpected", id="exit code 0 without a word"),
        pytest.param({"exit_code": 15}, "NotFound", id="a lost message with an exit code"),
    ],
)
def test_an_end_without_a_word_has_the_class_that_is_known(fields, reason):
    assert BaseScene().settled().ended(**fields).ready == ("False", reason)


WAITS = [Reason.QUOTA_EXCEEDED, Reason.IMAGE_PULL, Reason.UNSCHEDULABLE, Reason.NAME_CONFLICT]


@pytest.mark.parametrize("reason", WAITS)
def test_a_pod_that_does_not_start_shows_while_it_lasts(reason):
    wait = Obstacle(reason, "in the way", "change spec.compute")
    started = BaseScene().settled()
    scene = started.reporting(state=ChildState.PENDING, wait=wait).settled()
    assert scene.ready == ("False", reason.value)
    assert scene.conditions["Reconciling"] == "True"
    assert scene.events == [reason.value]
    passed = scene.reporting(state=ChildState.RUNNING, wait=None).settled()
    assert passed.ready == ("Unknown", "Resolving")


def test_what_to_do_about_a_wait_fits_an_object_without_compute():
    scene = BaseScene().hindered(Reason.IMAGE_PULL).settled()
    assert "the operator's setting image" in scene.message
    assert "spec.compute" not in scene.message


def test_a_job_that_is_no_valid_job_is_not_asked_for_again():
    scene = BaseScene().hindered(Reason.INVALID_SPEC).settled()
    assert scene.ready == ("False", "InvalidSpec")
    assert scene.decided().actions == ()


def test_what_blocks_the_next_look_is_named():
    scene = BaseScene().settled().edited(suspend=True).settled().edited(suspend=False).settled()
    assert scene.ready == ("False", "Stopping")
    assert scene.live.name in scene.message


def test_a_failure_of_a_newer_release_is_shown_as_unexpected():
    scene = BaseScene().settled().failed(F.UNAVAILABLE)
    failure = scene.status.look_failure.model_copy(update={"reason": "Haunted"})
    status = scene.status.model_copy(update={"look_failure": failure})
    base = scene.base.model_copy(update={"status": status})
    assert BaseScene(base=base).settled().ready == ("False", "Unexpected")
