"""A reconciler, its caches, and a server that races, refuses and loses answers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from builders.fake_api import FakeApi, Json
from builders.jobs import SPEC, START

from controller.api.finetunejob import FineTuneJob
from controller.core.observed import Observed, Settings
from controller.kube.resources import JOBS, PODS, Resource
from controller.kube.store import Store
from controller.shell.apply import Applier
from controller.shell.ended import EndedPods
from controller.shell.glance import owner_uid_of
from controller.shell.jobs import JobWork
from controller.shell.kinds import FINETUNEJOBS
from controller.shell.ledger import Ledger
from controller.shell.limits import Limits
from controller.shell.looks import OWNER_INDEX, Caches
from controller.shell.metrics import Metrics
from controller.shell.observe import Observer
from controller.shell.progress import Poller
from controller.shell.publish import Publisher
from controller.shell.reconcile import Again, Reconciler
from controller.shell.records import Job, JobObject, Pod
from controller.shell.slots import Slots
from controller.shell.template import PodSettings
from controller.shell.waits import Waits

KEY = ("ml", "intents")


def one_slot() -> Slots:
    """A limit of one."""
    return Slots(1, lambda _key, _s: None, lambda: START)


class Limited(Protocol):
    """Whatever has limits."""

    limits: Limits


def position_of(fleet: Limited, job: FineTuneJob) -> int:
    """Where a job stands among the runs; 0 takes the slot."""
    return fleet.limits.placed(Observed(job, START), is_alive=False).queue_position


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
    metrics: Metrics = field(default_factory=Metrics)
    is_leader: bool = True
    now_s: float = 0.0

    limits: Limits = field(default_factory=lambda: Limits(one_slot(), one_slot()))

    def __post_init__(self) -> None:
        owner = {OWNER_INDEX: owner_uid_of}
        self.caches = Caches(Store(), Store(), Store(owner), Store(owner))
        self.ledger = Ledger(lambda: self.now_s)
        self.ended = EndedPods()
        self.reconciler = self._reconciler()

    def _reconciler(self) -> Reconciler:
        api: Any = self.api
        events: Any = self.events
        limits, waits, metrics = self.limits, Waits(api, 20, 30), self.metrics
        poller = Poller(list, lambda _: None, 9090, 2)
        observer = Observer(
            caches=self.caches,
            ledger=self.ledger,
            ended=self.ended,
            waits=waits,
            limits=limits,
            poller=poller,
            settings=Settings(),
            now=lambda: START,
        )
        leads = lambda: self.is_leader  # noqa: E731 - read when it is asked
        applier = Applier(api, self.ledger, metrics, PodSettings(), leads)
        publisher = Publisher(api, events, self.ledger, metrics)
        return Reconciler(
            api,
            JobWork(observer, limits, metrics),
            applier,
            publisher,
            self.ledger,
            self.ended,
            waits,
            lambda: START,
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

    def synced(self, *without: Resource) -> None:
        """The caches have everything but the kinds that they are behind of."""
        kinds: list[tuple[Resource, Any, Any]] = [
            (FINETUNEJOBS, self.caches.jobs, JobObject),
            (JOBS, self.caches.children, Job),
            (PODS, self.caches.pods, Pod),
        ]
        for resource, store, kind in kinds:
            for document in () if resource in without else self.api.all(resource):
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
