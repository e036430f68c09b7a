"""One process of the operator: the real shell on caches that are filled event by event."""

from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
from builders.fake_api import Json
from builders.jobs import START
from builders.reconciled import Events
from builders.world.api import WorldApi

from controller.core.observed import Settings
from controller.kube.errors import KubeError
from controller.kube.objects import KubeObject, key_of
from controller.kube.reflector import Reflector
from controller.shell.apply import Applier
from controller.shell.ended import EndedPods
from controller.shell.jobs import JobWork
from controller.shell.ledger import Ledger
from controller.shell.limits import Limits
from controller.shell.metrics import Metrics
from controller.shell.observe import Observer
from controller.shell.progress import Poller
from controller.shell.publish import Publisher
from controller.shell.reconcile import Again, Reconciler
from controller.shell.records import Job, JobObject, Pod
from controller.shell.slots import Slots
from controller.shell.template import PodSettings
from controller.shell.waits import Waits
from controller.shell.watches import Watches

KEY = ("ml", "intents")
KINDS: dict[str, type[KubeObject]] = {"finetunejobs": JobObject, "jobs": Job, "pods": Pod}
RETRY_S = 5.0

T = TypeVar("T")


class Crash(Exception):  # noqa: N818 - an end: the process is no more
    """Power went."""


def driven(work: Coroutine[Any, Any, T]) -> T:
    """The result of what never really waits."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise AssertionError("it waits for something that is not in this world")


@dataclass
class Process:
    """It believes that it leads, whatever others believe."""

    api: WorldApi
    metrics: Metrics
    """Shared by all: making a registry is slow, and nobody reads it here."""
    due: datetime | None = None
    """When the key is to be looked at; None: when something wakes it."""
    seen: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    """How much of each watch's log has come."""

    def __post_init__(self) -> None:
        self.boot()

    def boot(self) -> None:
        """A new process: nothing is remembered, everything is listed."""
        api: Any = self.api
        self.ledger = Ledger(self._seconds)
        self.ended = EndedPods()
        slots = Slots(0, lambda _key, _s: None, lambda: self.api.now)
        self.limits, self.waits = Limits(slots, slots), Waits(api, 20, 30)
        self.watches = Watches(
            api,
            self.ledger,
            self.ended,
            lambda _: self.wake(),
            lambda gone: self.ledger.forget(gone.metadata.uid),
            self.waits.forget,
            lambda _: None,
            lambda _: None,
            lambda _: None,
        )
        self.reconciler = self._reconciler(api)
        for kind in KINDS:
            self.relist(kind)
        self.wake()

    def _reconciler(self, api: Any) -> Reconciler:
        events: Any = Events()
        observer = Observer(
            caches=self.watches.caches,
            ledger=self.ledger,
            ended=self.ended,
            waits=self.waits,
            limits=self.limits,
            poller=Poller(list, lambda _: None, 9090, 2),
            settings=Settings(),
            now=lambda: self.api.now,
        )
        applier = Applier(api, self.ledger, self.metrics, PodSettings(), lambda: True)
        return Reconciler(
            api,
            JobWork(observer, self.limits, self.metrics),
            applier,
            Publisher(api, events, self.ledger, self.metrics),
            self.ledger,
            self.ended,
            self.waits,
            lambda: self.api.now,
        )

    def _seconds(self) -> float:
        return (self.api.now - START).total_seconds()

    def wake(self) -> None:
        self.due = self.api.now

    # Watches

    def behind(self, kind: str) -> int:
        return len(self.api.log[kind]) - self.seen[kind]

    def deliver(self, kind: str) -> None:
        """The next event of that watch."""
        if self.behind(kind) > 0:
            self.seen[kind] += 1
            self._hear(kind, *self.api.log[kind][self.seen[kind] - 1])

    def repeat(self, kind: str) -> None:
        """The last event of that watch once more."""
        if 0 < self.seen[kind] <= len(self.api.log[kind]):
            self._hear(kind, *self.api.log[kind][self.seen[kind] - 1])

    def relist(self, kind: str) -> None:
        """The watch was lost: everything is listed, and what is missing was deleted."""
        reflector = self._reflector(kind)
        there = {o["metadata"]["name"]: o for key, o in self.api.objects.items() if key[0] == kind}
        for document in there.values():
            if kind == "finetunejobs" or is_selected(document):
                self._hear(kind, "MODIFIED", document)
        for known in reflector.store.all():
            if known.metadata.name not in there:
                reflector.store.remove(key_of(known))
                self._changed(kind)(known, None)
        self.seen[kind] = len(self.api.log[kind])

    def _hear(self, kind: str, change: str, document: Json) -> None:
        if kind != "finetunejobs" and not is_selected(document):
            change = "DELETED"  # as a watch with a selector tells it
        new = msgspec.json.decode(msgspec.json.encode(document), type=KINDS[kind])
        store = self._reflector(kind).store
        if change == "DELETED":
            old = store.remove(key_of(new))
            if old is not None:
                self._changed(kind)(old, None)
            return
        self._changed(kind)(store.put(new), new)

    def _reflector(self, kind: str) -> Reflector[Any]:
        return self.watches.named()[kind]

    def _changed(self, kind: str) -> Any:
        watches = self.watches
        return {
            "finetunejobs": watches.job_changed,
            "jobs": watches.child_changed,
            "pods": watches.pod_changed,
        }[kind]

    # Work

    def reconcile(self) -> None:
        """Look at the key once; the process is a new one if it crashed."""
        self.due = None
        try:
            again = driven(self.reconciler.reconcile(KEY))
        except KubeError:
            again = Again(is_backoff=True)
        except Crash:
            self.api.before = self.api.after = lambda _: None
            self.boot()
            return
        self._requeue(again)

    def _requeue(self, again: Again) -> None:
        after_s = RETRY_S if again.is_backoff else again.after_s
        if after_s is None:
            return
        when = self.api.now + timedelta(seconds=after_s)
        self.due = when if self.due is None else min(self.due, when)


def is_selected(document: Json) -> bool:
    """By the selector of the children."""
    labels = document["metadata"].get("labels", {})
    return labels.get("app.kubernetes.io/managed-by") == "tunekeeper"
