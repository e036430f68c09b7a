"""One reconcile against a server that races, refuses and loses answers."""

import asyncio

import msgspec
import pytest
from builders.jobs import START, a_job
from builders.reconciled import Scene, once, position_of, raising

from controller.api.finetunejob import FineTuneJob
from controller.api.meta import ObjectMeta
from controller.kube.errors import ApiError, KubeError, TransportError
from controller.kube.objects import key_of
from controller.kube.resources import JOBS, PODS
from controller.shell.kinds import FINETUNEJOBS
from controller.shell.reconcile import AT_ONCE, NEVER
from controller.shell.records import JobObject

KEY = ("ml", "intents")


START_WRITES = ["PUT finetunejobs", "POST jobs"]


def test_a_stage_start_is_one_status_write_and_then_one_create() -> None:
    scene = Scene()
    scene.given()
    assert scene.reconcile() == NEVER
    assert scene.api.writes() == START_WRITES
    assert scene.events.told == ["RunStarted"]


def test_before_the_caches_show_the_own_writes_nothing_is_done_twice() -> None:
    scene = Scene()
    scene.given()
    for _ in range(3):
        scene.reconcile()
    scene.synced()
    scene.reconcile()
    assert scene.api.writes() == START_WRITES


def test_an_object_that_is_not_there_is_left_alone() -> None:
    assert Scene().reconcile() == NEVER


def test_a_conflict_is_decided_again_on_the_live_object() -> None:
    scene = Scene()
    scene.given()
    scene.api.before = once("PUT finetunejobs", lambda: scene.edited(lora={"rank": 8}))
    assert scene.reconcile() == NEVER
    assert scene.status["observedGeneration"] == 2
    assert scene.api.writes() == ["PUT finetunejobs", *START_WRITES]
    (child,) = scene.api.all(JOBS)
    assert '"rank":8' in str(child).replace(" ", "")


def test_a_spec_that_changes_right_before_the_create_is_decided_again() -> None:
    scene = Scene()
    scene.given()
    scene.api.before = once("GET finetunejobs", lambda: scene.edited(lora={"rank": 8}))
    assert scene.reconcile() == NEVER
    assert len(scene.api.all(JOBS)) == 1
    assert scene.status["run"]["number"] == 2
    assert scene.status["observedGeneration"] == 2


def test_an_object_that_goes_right_before_the_create_gets_no_child() -> None:
    scene = Scene()
    scene.given()
    scene.api.before = once("GET finetunejobs", scene.api.objects.clear)
    again = scene.reconcile()
    assert again.is_backoff
    assert scene.api.all(JOBS) == []


def test_who_does_not_lead_creates_nothing() -> None:
    scene = Scene(is_leader=False)
    scene.given()
    with pytest.raises(KubeError, match="Lease"):
        scene.reconcile()
    assert scene.api.all(JOBS) == []


def test_a_leader_that_stood_still_past_its_lease_before_the_create_creates_nothing() -> None:
    scene = Scene()
    scene.given()
    scene.api.before = once("GET finetunejobs", lambda: setattr(scene, "is_leader", False))
    with pytest.raises(KubeError, match="Lease"):
        scene.reconcile()
    assert scene.api.all(JOBS) == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_to_the_create_never_makes_a_second_child(when: str) -> None:
    scene = Scene()
    scene.given()
    setattr(scene.api, when, once("POST jobs", raising(TransportError("no answer"))))
    with pytest.raises(TransportError):
        scene.reconcile()
    assert scene.reconcile() == NEVER
    assert len(scene.api.all(JOBS)) == 1
    assert scene.status["phase"] == "Running"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_to_the_status_write_starts_no_second_run(when: str) -> None:
    scene = Scene()
    scene.given()
    setattr(scene.api, when, once("PUT finetunejobs", raising(TransportError("no answer"))))
    with pytest.raises(TransportError):
        scene.reconcile()
    scene.reconcile()
    assert scene.status["run"]["number"] == 1
    assert len(scene.api.all(JOBS)) == 1


def test_a_quota_shows_and_the_create_is_tried_again_until_it_passes() -> None:
    scene = Scene()
    scene.given()
    full = ApiError(403, "Forbidden", 'jobs "x" is forbidden: exceeded quota: q')
    scene.api.before = once("POST jobs", raising(full))
    assert scene.reconcile().is_backoff
    assert scene.reason() == "QuotaExceeded"
    assert scene.events.told == ["RunStarted", "QuotaExceeded"]
    assert scene.reconcile() == NEVER
    assert scene.reason() == "Preparing"
    assert len(scene.api.all(JOBS)) == 1


def test_a_job_that_cannot_be_is_not_asked_for_again_until_the_spec_changes() -> None:
    scene = Scene()
    scene.given()
    invalid = ApiError(422, "Invalid", "spec.template: Invalid value: 1: no")
    scene.api.before = once("POST jobs", raising(invalid))
    assert scene.reconcile() == NEVER
    assert scene.reason() == "InvalidSpec"
    before = len(scene.api.requests)
    assert scene.reconcile() == NEVER
    assert scene.api.requests[before:] == []
    scene.edited(compute={"gpus": 0, "resources": {"requests": {"cpu": "1"}}})
    scene.synced()
    assert scene.reconcile() == NEVER
    assert scene.reason() == "Preparing"


def test_a_job_that_cannot_be_stands_in_no_line() -> None:
    scene = Scene()
    scene.given()
    invalid = ApiError(422, "Invalid", "spec.template: Invalid value: 1: no")
    scene.api.before = once("POST jobs", raising(invalid))
    scene.reconcile()
    scene.limits.runs.hold("uid-of-another")  # the only slot
    writes = scene.api.writes()
    scene.synced()
    assert scene.reconcile() == NEVER
    assert scene.reason() == "InvalidSpec"
    assert scene.api.writes() == writes


def a_foreign_child(scene: Scene) -> None:
    scene.reconcile()
    (child,) = scene.api.all(JOBS)
    scene.api.objects.clear()
    scene.__post_init__()
    child["metadata"]["ownerReferences"][0]["uid"] = "somebody-else"
    scene.api.put(JOBS, child)
    scene.api.requests.clear()
    scene.given()


def test_a_foreign_job_with_the_childs_name_is_shown_and_left_alone() -> None:
    scene = Scene()
    scene.given()
    a_foreign_child(scene)
    assert scene.reconcile().is_backoff
    assert scene.reason() == "NameConflict"
    assert "DELETE jobs" not in scene.api.requests


def test_no_child_is_created_while_a_pod_of_another_attempt_may_live() -> None:
    scene = Scene()
    scene.given()
    scene.reconcile()
    (child,) = scene.api.all(JOBS)
    labels = child["metadata"]["labels"]
    pod = {"name": "p", "namespace": "ml", "labels": labels}
    scene.api.put(
        PODS, {"metadata": pod, "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}}
    )
    del scene.api.objects["jobs", "ml", child["metadata"]["name"]]
    scene.edited(lora={"rank": 8})
    scene.__post_init__()  # a new process, whose caches do not know the pod
    known = scene.api.all(FINETUNEJOBS)[0]
    scene.caches.jobs.put(msgspec.json.decode(msgspec.json.encode(known), type=JobObject))
    assert scene.reconcile().is_backoff
    assert scene.api.all(JOBS) == []
    assert scene.reason() == "Stopping"
    scene.api.objects["pods", "ml", "p"]["status"]["phase"] = "Failed"
    assert scene.reconcile() == NEVER
    assert len(scene.api.all(JOBS)) == 1


def test_a_spec_that_this_release_cannot_read_stalls_and_what_runs_goes_on() -> None:
    scene = Scene()
    scene.given()
    scene.reconcile()
    scene.edited(fromTheFuture=True)
    scene.synced()
    assert scene.reconcile() == NEVER
    assert scene.reason() == "InvalidSpec"
    assert scene.api.writes()[2:] == ["PUT finetunejobs"]
    scene.reconcile()
    assert scene.api.writes()[3:] == []


def test_an_error_of_the_server_keeps_the_status_true_and_comes_back() -> None:
    scene = Scene()
    scene.given()
    scene.api.before = once("POST jobs", raising(ApiError(500, "InternalError", "no")))
    with pytest.raises(ApiError, match="500"):
        scene.reconcile()
    assert scene.status["run"]["attempt"] == 1
    assert scene.reconcile() != AT_ONCE
    assert len(scene.api.all(JOBS)) == 1


def another_job() -> FineTuneJob:
    metadata = ObjectMeta(name="b", uid="uid-b", creation_timestamp=START)
    return a_job().model_copy(update={"metadata": metadata})


def test_an_object_that_goes_while_it_is_worked_on_keeps_no_slot() -> None:
    scene = Scene()
    scene.given()

    def go() -> None:
        scene.caches.jobs.remove(KEY)
        scene.limits.forget("uid-1")
        raise TransportError("no answer")

    scene.api.before = once("POST jobs", go)
    with pytest.raises(TransportError):
        scene.reconcile()
    assert position_of(scene, another_job()) == 0


def test_an_object_that_is_gone_before_it_is_decided_about_takes_no_slot() -> None:
    scene = Scene()
    scene.given()
    look = scene.reconciler.work.observer.look(scene.reconciler.work.observer.stored(KEY))
    scene.caches.jobs.remove(KEY)
    assert asyncio.run(scene.reconciler._act(look)) == (None, None)  # noqa: SLF001 - the window
    assert position_of(scene, another_job()) == 0


def test_a_job_of_another_namespace_that_bears_the_uid_is_no_child() -> None:
    scene = Scene()
    scene.given()
    scene.reconcile()
    scene.synced()
    (child,) = scene.caches.children.all()
    child.metadata.namespace = "other"
    scene.caches.children.put(child)
    stored = scene.reconciler.work.observer.stored(KEY)
    assert {
        job.metadata.namespace for job in scene.reconciler.work.observer.family(stored).jobs
    } == {"ml"}


def test_an_object_that_a_finalizer_holds_gives_its_slot_back() -> None:
    scene = Scene()
    scene.given()
    scene.reconcile()
    scene.synced()
    (stored,) = scene.caches.jobs.all()
    stored.metadata.deletion_timestamp = START
    scene.caches.children.remove(key_of(scene.caches.children.all()[0]))
    scene.ledger.forget(stored.metadata.uid)
    assert scene.reconcile() == NEVER
    assert position_of(scene, another_job()) == 0
