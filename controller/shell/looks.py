"""What is known here of one object of either kind, from the caches and own last writes.

Nothing here waits. What differs between the kinds is in ``observe`` and ``watch``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from controller.api.basemodel import BaseModelObject
from controller.api.finetunejob import FineTuneJob
from controller.core.children import Child, ChildState
from controller.core.watching.child import ErrandChild
from controller.kube.objects import Key, KubeObject, key_of
from controller.kube.store import Store
from controller.shell.children import lacks_word
from controller.shell.ended import EndedPods
from controller.shell.glance import owner_uid_of
from controller.shell.ledger import Ledger
from controller.shell.pods import is_over
from controller.shell.queue import suspended_since
from controller.shell.records import Job, JobObject, Pod
from controller.shell.waits import Awaited, Waits

Namespaced = TypeVar("Namespaced", bound=KubeObject)
ObjectT = TypeVar("ObjectT", FineTuneJob, BaseModelObject)
ChildT = TypeVar("ChildT", Child, ErrandChild)

OWNER_INDEX = "owner"
BASE_INDEX = "base"
UID_INDEX = "uid"


@dataclass(frozen=True)
class Caches:
    """What the reflectors keep."""

    jobs: Store[JobObject]
    """FineTuneJobs."""
    base_models: Store[JobObject]
    children: Store[Job]
    pods: Store[Pod]


@dataclass(frozen=True)
class Family(Generic[ChildT]):
    """The children of one object, as they are stored and as the core sees them."""

    jobs: tuple[Job, ...]
    pods: tuple[Pod, ...]
    children: tuple[ChildT, ...]
    lost: tuple[Job, ...] = ()
    """Jobs that somebody else has deleted, and whose end no status knows."""

    @property
    def is_alive(self) -> bool:
        """Whether something of it may be alive; a suspended Job without a pod is not."""
        has_pod = any(not is_over(pod) for pod in self.pods)
        return has_pod or any(c.is_unfinished and not c.is_suspended for c in self.children)


@dataclass(frozen=True)
class Look(Generic[ObjectT, ChildT]):
    """One object and everything of it that is known here."""

    stored: JobObject
    obj: ObjectT
    family: Family[ChildT]


@dataclass(kw_only=True)
class AnyObserver(ABC, Generic[ObjectT, ChildT]):
    """Reads only what is in memory: it never waits."""

    caches: Caches
    ledger: Ledger
    ended: EndedPods
    waits: Waits
    now: Callable[[], datetime]

    @property
    @abstractmethod
    def objects(self) -> Store[JobObject]:
        """The objects of the kind."""

    @abstractmethod
    def read(self, stored: JobObject) -> ObjectT:
        """The object, read whole.

        Raises:
            SpecError: its spec cannot be read.
        """

    @abstractmethod
    def children(
        self, uid: str, jobs: Sequence[Job], pods: Sequence[Pod], lost: Sequence[Job]
    ) -> tuple[ChildT, ...]:
        """The children of the object with that uid."""

    @abstractmethod
    def is_recorded(self, obj: ObjectT, child: ChildT) -> bool:
        """Whether the stored status waits for the end of that very child."""

    def stored(self, key: Key) -> JobObject | None:
        """The newest known version; None when it is gone or going."""
        cached = self.objects.get(key)
        if cached is None:
            return None
        newest = self.ledger.newest(cached)
        return None if newest.metadata.deletion_timestamp is not None else newest

    def leaving(self, key: Key) -> str | None:
        """The uid of an object that is being deleted and has nothing alive any more."""
        cached = self.objects.get(key)
        return None if cached is None or self.family(cached).is_alive else cached.metadata.uid

    def is_there(self, stored: JobObject) -> bool:
        """Whether the cache still has the object: what is gone was forgotten, and stays so."""
        cached = self.objects.get(key_of(stored))
        return cached is not None and cached.metadata.uid == stored.metadata.uid

    def has_job(self, job: Job) -> bool:
        """Whether a child's Job is there, as far as is known here."""
        meta = job.metadata
        cached = self.caches.children.get((meta.namespace, meta.name))
        if cached is not None and cached.metadata.uid == meta.uid:
            return True
        owner = next(iter(owner_uid_of(job)), "")
        return self.ledger.has_created(owner, meta.name, meta.uid) or self.is_lost(owner, job)

    def look(self, stored: JobObject) -> Look[ObjectT, ChildT]:
        """The object read whole, with its children.

        Raises:
            SpecError: its spec cannot be read.
        """
        return Look(stored, self.read(stored), self.family(stored))

    def family(self, stored: JobObject) -> Family[ChildT]:
        """The children of an object; what bears its uid in another namespace is none of them."""
        uid, namespace = stored.metadata.uid, stored.metadata.namespace
        jobs: list[Job]
        shown: list[Pod]
        known = in_namespace(namespace, self.caches.children.by_index(OWNER_INDEX, uid))
        jobs = self.ledger.with_created(uid, known)
        shown = in_namespace(namespace, self.caches.pods.by_index(OWNER_INDEX, uid))
        lost = self.ledger.lost.of(uid, jobs)
        pods = [*shown, *self.ended.of((job.metadata.uid for job in jobs), cached=shown)]
        words = self.ledger.lost.words
        pods += words.of((job.metadata.uid for job in lost), cached=shown)
        return Family(tuple(jobs), tuple(pods), self.children(uid, jobs, pods, lost), lost)

    def wordless(self, look: Look[ObjectT, ChildT]) -> Job | None:
        """The Job that is waited for, if it is over, nobody has seen how, and may yet."""
        silent = {
            child.name
            for child in look.family.children
            if self.is_recorded(look.obj, child) and lacks_word(child)
        }
        jobs = (*look.family.jobs, *look.family.lost)
        job = next((job for job in jobs if job.metadata.name in silent), None)
        if job is None or self.words_of(job).was_looked_at(job.metadata.uid):
            return None
        return job

    def words_of(self, job: Job) -> EndedPods:
        """Where the last words of a Job's pods are kept."""
        owner = next(iter(owner_uid_of(job)), "")
        return self.ledger.lost.words if self.is_lost(owner, job) else self.ended

    def is_lost(self, owner: str, job: Job) -> bool:
        """Whether somebody else has deleted the Job, as far as is known here."""
        return self.ledger.lost.has(owner, job.metadata.uid)

    def explained(self, look: Look[ObjectT, ChildT]) -> Iterable[ChildT]:
        """The children, with what the events say of those that have not started."""
        known = {awaited.child.name: awaited for awaited in awaited_children(look)}
        for child in look.family.children:
            awaited = known.get(child.name)
            wait = self.waits.known(awaited.subject) if awaited else None
            yield replace(child, wait=child.wait or wait)


def awaited_children(look: Look[ObjectT, ChildT]) -> Iterable[Awaited]:
    """The children that have not started, each with what its events are about."""
    jobs = {job.metadata.name: job for job in look.family.jobs}
    for child in look.family.children:
        job = jobs.get(child.name)
        if job is None or child.state is not ChildState.PENDING or child.wait is not None:
            continue  # what its pod says itself needs no look at the events
        pods = (pod for pod in look.family.pods if is_owned_by(pod, job) and not is_over(pod))
        pod = None if child.is_suspended else next(pods, None)
        if not (child.is_suspended or is_tried(job, pod)):
            continue
        meta = (pod or job).metadata
        assert meta.creation_timestamp is not None  # noqa: S101 - an API server has set it
        since = suspended_since(job) if child.is_suspended else meta.creation_timestamp
        if since is not None:  # else the Job controller has not seen it yet, nor has Kueue
            yield Awaited(child, meta.uid, since)


def is_tried(job: Job, pod: Pod | None) -> bool:
    """Whether anybody has tried to start it, and may have said in an event why that failed.

    The Job controller sets the start time with its first try; the scheduler sets a condition, or
    the node. A Job that is suspended, or a cluster whose controllers are away, has no such event.
    """
    if pod is None:
        return job.status.start_time is not None
    return bool(pod.spec.node_name or pod.status.conditions)


def is_owned_by(pod: Pod, job: Job) -> bool:
    """Whether the Job controller made the pod for the Job."""
    return any(owner.uid == job.metadata.uid for owner in pod.metadata.owner_references)


def builtins_of(stored: JobObject) -> dict[str, Any]:
    """The metadata as JSON values."""
    return dict(msgspec.to_builtins(stored.metadata))


def in_namespace(namespace: str, objects: Iterable[Namespaced]) -> list[Namespaced]:
    """Those of the namespace: labels are written by anyone who may write there."""
    return [obj for obj in objects if obj.metadata.namespace == namespace]
