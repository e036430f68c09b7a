"""When the revision that counts is committed, and what is said of it."""

import pytest
from builders.base_models import WRITE_BACK, BaseScene, a_base_model

from trainer.contract.errand import Cause, Errand
from trainer.contract.failures import FailureClass

OTHER = {"git": {"url": "https://git.acme.dev/manifests", "branch": "next"}}


def resolved() -> BaseScene:
    """Resolved for the first time, and about to be written back."""
    return BaseScene(base=a_base_model(writeBack=WRITE_BACK)).settled().found("a")


def written() -> BaseScene:
    return resolved().succeeded(commit="c1", changed_files=2)


def test_the_first_revision_is_written_back():
    scene = resolved()
    assert (scene.live.errand, scene.live.number) == (Errand.WRITE_BACK, 2)
    request = scene.started[-1].request
    assert (request.new.revision, request.old) == ("rev-a", None)
    assert scene.ready == ("True", "Resolved")
    done = scene.succeeded(commit="c1", changed_files=2)
    assert (done.status.write_back.revision, done.status.write_back.commit) == ("rev-a", "c1")
    assert done.told[-1].message == "revision rev-a in commit c1, 2 files"
    assert not done.has_live


def test_a_new_revision_is_written_with_the_one_before_it():
    scene = written().looked("b").passed(600).found("b")
    request = scene.started[-1].request
    assert (request.new.revision, request.old.revision) == ("rev-b", "rev-a")
    assert scene.succeeded(commit="c2").status.write_back.revision == "rev-b"


def test_nothing_is_written_while_nothing_new_counts():
    assert written().looked("a2").has_live is False
    assert written().looked("b").has_live is False


def test_what_is_there_already_is_no_news():
    scene = resolved().succeeded()
    assert scene.status.write_back.revision == "rev-a"
    assert "WrittenBack" not in scene.events
    assert not scene.has_live


def test_markers_that_were_not_followed_are_told_with_the_commit():
    left = "not followed: jobs/prod.yaml:5: prod:tiny is in another namespace than ml:tiny"
    scene = resolved().succeeded(commit="c1", changed_files=1, message=left)
    assert scene.told[-1].message == f"revision rev-a in commit c1, 1 file; {left}"


def test_a_changed_section_writes_again():
    scene = written().edited(writeBack=OTHER).settled()
    assert scene.live.errand is Errand.WRITE_BACK
    assert scene.started[-1].request.git.branch == "next"


def test_a_section_that_is_removed_ends_what_it_asked_for():
    scene = resolved().edited(writeBack=None).settled()
    assert scene.status.errand.end_time is not None
    assert scene.ended(exit_code=1).ready == ("True", "Resolved")


@pytest.mark.parametrize(
    ("failure", "cause", "reason", "stalled"),
    [
        (FailureClass.UNAVAILABLE, None, "WriteBackFailed", None),
        (FailureClass.UNAVAILABLE, Cause.RATE_LIMITED, "RateLimited", None),
        (FailureClass.ACCESS_DENIED, None, "WriteBackFailed", "True"),
        (FailureClass.NOT_FOUND, Cause.MARKER_NOT_FOUND, "MarkerNotFound", "True"),
    ],
)
def test_a_failure_shows_and_is_tried_again(failure, cause, reason, stalled):
    scene = resolved().failed(failure, cause)
    assert scene.ready == ("False", reason)
    assert scene.conditions.get("Stalled") == stalled
    assert scene.message.startswith("write-back: because")
    assert scene.latest == "rev-a"
    again = scene.waited()
    assert again.live.errand is Errand.WRITE_BACK
    assert again.succeeded(commit="c1").ready == ("True", "Resolved")


def test_looks_go_on_while_writing_fails():
    scene = resolved()
    for _ in range(12):
        scene = scene.failed(FailureClass.UNAVAILABLE)
        while not (scene := scene.waited()).has_live:
            pass
        if scene.live.errand is Errand.RESOLVE:
            assert scene.found("a").status.write_back_failure.failures > 5
            return
    raise AssertionError("no look for twelve write-backs")


def test_a_look_under_way_is_not_disturbed_by_a_write_back_that_is_due():
    scene = written().waited().edited(writeBack=OTHER).settled()
    assert scene.live.errand is Errand.RESOLVE
    assert scene.found("a").live.errand is Errand.WRITE_BACK


def test_suspended_nothing_is_written():
    scene = resolved().edited(suspend=True).settled().ended(exit_code=23)
    assert not scene.has_live
    assert scene.status.write_back is None
