"""One reconcile against a server that races, refuses and loses answers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from builders.fake_api import FakeApi, Json
from builders.jobs import SPEC, START, a_job

from controller.api.meta import ObjectMeta
from controller.core.observed import Settings
from controller.kube.errors import ApiError, KubeError, TransportError
from controller.kube.resources import JOBS, PODS, Resource
from controller.kube.store import Store
from controller.shell.apply import Applier
from controller.shell.glance import owner_uid_of
from controller.shell.kinds import FINETUNEJOBS
from controller.shell.ledger import Ledger
from controller.shell.metrics import Metrics
from controller.shell.observe import OWNER_INDEX, Caches, Observer
from controller.shell.progress import Poller
from controller.shell.publish import Publisher
from controller.shell.reconcile import AT_ONCE, NEVER, Again, Reconciler
from controller.shell.records import Job, JobObject, Pod
from controller.shell.slots import Slots
from controller.shell.template import PodSettings
from controller.shell.waits import Waits

KEY = ("ml", "intents")
START_WRITES = ["PUT finetunejobs", "POST jobs"]


@dataclass
class Events:
    """Keeps what it is told."""

    told: list[str] = field(default_factory=list)

    def record(self, regarding: object, *, reason: str, **_: object) -> None:
        del regarding
        self.told.append(reason)


@dataclass
class Scene:
    """A reconciler, its caches, and the server that they may be behind of."""

    api: FakeApi = field(default_factory=FakeApi)
    events: Events = field(default_factory=Events)
    is_leader: bool = True
    now_s: float = 0.0

    slots: Slots = field(default_factory=lambda: Slots(1, lambda _key, _s: None))

    def __post_init__(self) -> None:
        owner = {OWNER_INDEX: owner_uid_of}
        self.caches = Caches(Store(), Store(), Store(owner), Store(owner))
        self.ledger = Ledger(lambda: self.now_s)
        self.reconciler = self._reconciler()

    def _reconciler(self) -> Reconciler:
        api: Any = self.api
        events: Any = self.events
        slots, waits, metrics = self.slots, Waits(api, 20, 30), Metrics()
        poller = Poller(list, lambda _: None, 9090, 2)
        observer = Observer(
            self.caches, self.ledger, waits, slots, poller, Settings(), lambda: START
        )
        leads = lambda: self.is_leader  # noqa: E731 - read when it is asked
        applier = Applier(api, self.ledger, metrics, PodSettings(), leads)
        publisher = Publisher(api, events, self.ledger, metrics)
        return Reconciler(
            api, observer, applier, publisher, self.ledger, slots, waits, lambda: START
        )

    def given(self, **spec: Any) -> Json:
        """The object on the server and in the cache."""
        meta = {"name": "intents", "namespace": "ml", "uid": "uid-1", "generation": 1}
        made = self.api.put(FINETUNEJOBS, {"metadata": meta, "spec": {**SPEC, **spec}})
        self.synced()
        return made

    def edited(self, **spec: Any) -> None:
        """Somebody changed the spec; the cache does not know it yet."""
        (known,) = self.api.all(FINETUNEJOBS)
        meta = {**known["metadata"], "generation": known["metadata"]["generation"] + 1}
        spec = {**known["spec"], **spec}
        self.api.put(FINETUNEJOBS, {**known, "metadata": meta, "spec": spec})

    def synced(self) -> None:
        """The caches have everything."""
        kinds: list[tuple[Resource, Any, Any]] = [
            (FINETUNEJOBS, self.caches.jobs, JobObject),
            (JOBS, self.caches.children, Job),
            (PODS, self.caches.pods, Pod),
        ]
        for resource, store, kind in kinds:
            for document in self.api.all(resource):
                store.put(
                    msgspec.convert(document, kind, strict=False)
                    if kind is not JobObject
                    else msgspec.json.decode(msgspec.json.encode(document), type=kind)
                )

    def reconcile(self) -> Again:
        return asyncio.run(self.reconciler.reconcile(KEY))

    @property
    def status(self) -> Json:
        """As the server has it."""
        (known,) = self.api.all(FINETUNEJOBS)
        return dict(known.get("status", {}))

    def reason(self) -> str:
        """Of the condition Finished."""
        conditions = self.status["conditions"]
        return next(str(one["reason"]) for one in conditions if one["type"] == "Finished")


def once(request: str, act: Callable[[], None]) -> Callable[[str], None]:
    """Something that happens at the first such request."""
    left = [True]

    def hook(said: str) -> None:
        if said == request and left.pop() if left else False:
            act()

    return hook


def raising(error: Exception) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


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


def test_a_spec_that_this_release_cannot_read_stalls_and_stops_what_runs() -> None:
    scene = Scene()
    scene.given()
    scene.reconcile()
    scene.edited(fromTheFuture=True)
    scene.synced()
    assert scene.reconcile() == NEVER
    assert scene.reason() == "InvalidSpec"
    assert scene.api.writes()[2:] == ["DELETE jobs", "PUT finetunejobs"]
    scene.reconcile()
    assert scene.api.writes()[4:] == []


def test_an_error_of_the_server_keeps_the_status_true_and_comes_back() -> None:
    scene = Scene()
    scene.given()
    scene.api.before = once("POST jobs", raising(ApiError(500, "InternalError", "no")))
    with pytest.raises(ApiError, match="500"):
        scene.reconcile()
    assert scene.status["run"]["attempt"] == 1
    assert scene.reconcile() != AT_ONCE
    assert len(scene.api.all(JOBS)) == 1


def test_an_object_that_goes_while_it_is_worked_on_keeps_no_slot() -> None:
    scene = Scene()
    scene.given()

    def go() -> None:
        scene.caches.jobs.remove(KEY)
        scene.slots.forget("uid-1")
        raise TransportError("no answer")

    scene.api.before = once("POST jobs", go)
    with pytest.raises(TransportError):
        scene.reconcile()
    other = a_job().model_copy(
        update={"metadata": ObjectMeta(name="b", uid="uid-b", creation_timestamp=START)}
    )
    assert scene.slots.take(other, is_alive=False) == 0
