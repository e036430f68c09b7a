"""Which revision a run is for."""

from typing import Any

import pytest
from builders.jobs import Scene, a_base_model, a_job, digest_of

from controller.api.conditions import ConditionType
from controller.api.status import RunBase
from controller.core.actions import StartStage
from controller.core.conditions import find
from controller.core.observed import Settings
from controller.core.watching.source import location_hash
from trainer.contract.source import ModelSource, PinnedModel

NAMED = {"name": "smol"}
PINNED = {"name": "smol", "revision": "rev-p"}


def base_of(scene: Scene) -> RunBase:
    run = scene.job.status.run
    assert run is not None
    assert run.base_model is not None
    return run.base_model


def asked_for(scene: Scene) -> PinnedModel:
    """What the next stage's request says, on the recorded run."""
    (action,) = scene.decided().actions
    assert isinstance(action, StartStage)
    return action.request.spec.base_model


def a_judged_job(**spec: Any) -> Scene:
    """Named and unpinned unless told otherwise; judged on rev-1."""
    return Scene(job=a_job(**{"baseModel": NAMED, **spec})).moved("rev-1").run_through()


def test_a_first_run_is_for_the_newest_with_its_digest_before_anything_starts() -> None:
    recorded = Scene(job=a_job(baseModel=NAMED)).moved("rev-1").stepped()
    assert (base_of(recorded).revision, base_of(recorded).content_digest) == (
        "rev-1",
        digest_of("rev-1"),
    )
    model = asked_for(recorded)
    assert (model.revision, model.content_digest) == ("rev-1", digest_of("rev-1"))


def test_a_move_after_the_record_does_not_change_what_the_run_is_for() -> None:
    moved = Scene(job=a_job(baseModel=NAMED)).moved("rev-1").stepped().moved("rev-2")
    assert asked_for(moved).revision == "rev-1"
    assert base_of(moved.settled()).revision == "rev-1"


EDIT = {"lora": {"rank": 8}}


@pytest.mark.parametrize(
    ("policy", "pin", "wanted"),
    [
        pytest.param("OnCommit", None, "rev-1", id="unpinned, OnCommit: as the run before"),
        pytest.param("Never", None, "rev-1", id="unpinned, Never: as the run before"),
        pytest.param("Auto", None, "rev-2", id="unpinned, Auto: the newest"),
        pytest.param("OnCommit", "rev-p", "rev-p", id="pinned by the edit"),
        pytest.param("Auto", "rev-p", "rev-p", id="pinned by the edit, although Auto"),
    ],
)
def test_what_a_later_run_is_for(policy: str, pin: str | None, wanted: str) -> None:
    reference = NAMED | ({"revision": pin} if pin else {})
    # two changes in one commit: suspended in between, so that Auto does not start by itself
    job = a_judged_job(retrain={"policy": policy}).edited(suspend=True).settled().moved("rev-2")
    edited = job.edited(**EDIT, suspend=False, baseModel=reference).settled()
    assert edited.job.status.run is not None
    assert (edited.job.status.run.number, edited.job.status.run.trigger) == (2, "Spec")
    assert base_of(edited).revision == wanted


def test_a_rerun_stays_on_the_revision_of_the_run_before() -> None:
    again = a_judged_job().moved("rev-2").annotated(rerun="x").settled()
    assert again.job.status.run is not None
    assert again.job.status.run.trigger == "Rerun"
    assert base_of(again).revision == "rev-1"


def test_another_base_model_is_taken_at_its_newest() -> None:
    other = a_judged_job().moved("other-7", name="other").edited(baseModel={"name": "other"})
    assert base_of(other.settled()).revision == "other-7"


def test_a_base_model_with_another_source_is_taken_at_its_newest() -> None:
    def source(repo: str) -> dict[str, Any]:
        written = {"huggingFace": {"repo": repo}}
        known = location_hash(ModelSource.model_validate(written))
        return {"spec": {"source": written}, "status": {"sourceHash": known}}

    job = Scene(job=a_job(baseModel=NAMED)).moved("rev-1", **source("owner/a")).run_through()
    moved = job.moved("new-1", **source("owner/b")).edited(**EDIT)
    assert base_of(moved.settled()).revision == "new-1"
    same = job.moved("new-1", **source("owner/a")).edited(**EDIT)
    assert base_of(same.settled()).revision == "rev-1"


def test_an_unpinned_job_waits_for_the_first_revision_and_says_why() -> None:
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": "AccessDenied",
        "message": "the Hub refuses the token",
    }
    scene = Scene(
        job=a_job(baseModel=NAMED), base_model=a_base_model(status={"conditions": [ready]})
    )
    waiting = scene.settled()
    said = find(waiting.job.status.conditions, ConditionType.FINISHED)
    assert said is not None
    assert (waiting.job.status.phase, said.reason) == ("Pending", "BaseModelNotReady")
    assert "Ready is False, AccessDenied: the Hub refuses the token" in said.message
    assert waiting.children == ()
    assert waiting.moved("rev-1").settled().live.name.endswith("r1-prepare-1")


@pytest.mark.parametrize(
    "scene",
    [
        pytest.param(Scene(job=a_job(baseModel=PINNED)), id="pinned"),
        pytest.param(
            Scene(job=a_job(baseModel=NAMED), settings=Settings(waits_heal=False)),
            id="under a single command, where nobody resolves",
        ),
    ],
)
def test_who_needs_no_revision_does_not_wait_for_one(scene: Scene) -> None:
    assert scene.moved("").settled().live.name.endswith("r1-prepare-1")


def test_a_run_goes_on_when_its_base_model_loses_its_newest_revision() -> None:
    scene = Scene(job=a_job(baseModel=NAMED)).moved("rev-1").settled().moved("")
    assert scene.settled().live.name.endswith("r1-prepare-1")


def test_an_inline_source_without_a_revision_is_asked_by_prepare() -> None:
    recorded = Scene().stepped()
    assert recorded.job.status.run is not None
    assert recorded.job.status.run.base_model is None
    assert asked_for(recorded).revision is None
