"""Assembles what one decision may know, from the caches and this process's own last writes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from controller.api.basemodel import BaseModelObject
from controller.api.finetunejob import FineTuneJob
from controller.api.read import read_base_model, read_job
from controller.api.reasons import Reason
from controller.core.children import Child, ChildState
from controller.core.observed import Observed, Settings
from controller.errors import SpecError
from controller.kube.objects import Key, KubeObject, key_of
from controller.kube.store import Store
from controller.shell.children import children_of, lacks_word
from controller.shell.ended import EndedPods
from controller.shell.glance import owner_uid_of
from controller.shell.ledger import Ledger
from controller.shell.limits import Limits
from controller.shell.progress import Poller
from controller.shell.records import Job, JobObject, Pod
from controller.shell.waits import Awaited, Waits
from trainer.contract.progress import Progress

Namespaced = TypeVar("Namespaced", bound=KubeObject)

OWNER_INDEX = "owner"
BASE_INDEX = "base"


@dataclass(frozen=True)
class Caches:
    """What the reflectors keep."""

    jobs: Store[JobObject]
    """FineTuneJobs."""
    base_models: Store[JobObject]
    children: Store[Job]
    pods: Store[Pod]


@dataclass(frozen=True)
class Family:
    """The children of one object, as they are stored and as the core sees them."""

    jobs: tuple[Job, ...]
    pods: tuple[Pod, ...]
    children: tuple[Child, ...]

    @property
    def is_alive(self) -> bool:
        """Whether something of it may be alive."""
        return any(child.is_unfinished for child in self.children)


@dataclass(frozen=True)
class Look:
    """One object and everything of it that is known here."""

    stored: JobObject
    job: FineTuneJob
    family: Family


@dataclass
class Observer:
    """Reads only what is in memory: it never waits."""

    caches: Caches
    ledger: Ledger
    ended: EndedPods
    waits: Waits
    limits: Limits
    poller: Poller
    settings: Settings
    now: Callable[[], datetime]

    def stored(self, key: Key) -> JobObject | None:
        """The newest known version; None when it is gone or going."""
        cached = self.caches.jobs.get(key)
        if cached is None:
            return None
        newest = self.ledger.newest(cached)
        return None if newest.metadata.deletion_timestamp is not None else newest

    def leaving(self, key: Key) -> str | None:
        """The uid of an object that is being deleted and has nothing alive any more."""
        cached = self.caches.jobs.get(key)
        return None if cached is None or self.family(cached).is_alive else cached.metadata.uid

    def is_there(self, stored: JobObject) -> bool:
        """Whether the cache still has the object: what is gone was forgotten, and stays so."""
        cached = self.caches.jobs.get(key_of(stored))
        return cached is not None and cached.metadata.uid == stored.metadata.uid

    def has_job(self, job: Job) -> bool:
        """Whether a child's Job is there, as far as is known here."""
        meta = job.metadata
        cached = self.caches.children.get((meta.namespace, meta.name))
        if cached is not None and cached.metadata.uid == meta.uid:
            return True
        owner = next(iter(owner_uid_of(job)), "")
        return self.ledger.has_created(owner, meta.name, meta.uid)

    def look(self, stored: JobObject) -> Look:
        """The object read whole, with its children.

        Raises:
            SpecError: its spec cannot be read.
        """
        job = read_job(builtins_of(stored), stored.spec, stored.status)
        return Look(stored, job, self.family(stored))

    def family(self, stored: JobObject) -> Family:
        """The children of an object; what bears its uid in another namespace is none of them."""
        uid, namespace = stored.metadata.uid, stored.metadata.namespace
        known = in_namespace(namespace, self.caches.children.by_index(OWNER_INDEX, uid))
        jobs = self.ledger.with_created(uid, known)
        cached = in_namespace(namespace, self.caches.pods.by_index(OWNER_INDEX, uid))
        pods = [*cached, *self.ended.of((job.metadata.uid for job in jobs), cached=cached)]
        children = children_of(uid, jobs, pods, self._progress(pods))
        return Family(tuple(jobs), tuple(pods), children)

    def wordless(self, look: Look) -> Job | None:
        """The Job of the recorded attempt, if it is over, nobody has seen how, and may yet."""
        run = look.job.status.run
        if run is None or run.end_time is not None:
            return None
        place = (run.number, run.stage, run.attempt)
        silent = {
            child.name
            for child in look.family.children
            if (child.run, child.stage, child.attempt) == place and lacks_word(child)
        }
        job = next((job for job in look.family.jobs if job.metadata.name in silent), None)
        return job if job is not None and not self.ended.was_looked_at(job.metadata.uid) else None

    def observe(self, look: Look) -> Observed:
        """What the decision is made about. Takes a slot when one is free for the object.

        One whose Job the server will never have has nothing to wait for: it stands in no line.
        """
        obstacle = self.ledger.obstacle(look.job.metadata)
        is_refused = obstacle is not None and obstacle.reason is Reason.INVALID_SPEC
        observed = Observed(
            job=look.job,
            now=self.now(),
            children=tuple(self._explained(look)),
            base_model=self._base_model(look.job),
            settings=self.settings,
            obstacle=obstacle,
        )
        is_alive = look.family.is_alive
        return observed if is_refused else self.limits.placed(observed, is_alive=is_alive)

    def _explained(self, look: Look) -> Iterable[Child]:
        known = {awaited.child.name: awaited for awaited in awaited_children(look)}
        for child in look.family.children:
            awaited = known.get(child.name)
            wait = self.waits.known(awaited.subject) if awaited else None
            yield replace(child, wait=child.wait or wait)

    def _progress(self, pods: Sequence[Pod]) -> dict[str, Progress]:
        heard = ((pod.metadata.uid, self.poller.progress_of(pod.metadata.uid)) for pod in pods)
        return {uid: progress for uid, progress in heard if progress is not None}

    def _base_model(self, job: FineTuneJob) -> BaseModelObject | None:
        name = job.spec.base_model.name
        found = self.caches.base_models.get((job.metadata.namespace, name)) if name else None
        if found is None:
            return None
        try:
            return read_base_model(builtins_of(found), found.spec, found.status)
        except SpecError:
            return None  # of a newer release: unknown to this one


def awaited_children(look: Look) -> Iterable[Awaited]:
    """The children that have not started, each with what its events are about."""
    jobs = {job.metadata.name: job for job in look.family.jobs}
    for child in look.family.children:
        job = jobs.get(child.name)
        if job is None or child.state is not ChildState.PENDING or child.wait is not None:
            continue  # what its pod says itself needs no look at the events
        pod = next((pod for pod in look.family.pods if is_owned_by(pod, job)), None)
        meta = (pod or job).metadata
        assert meta.creation_timestamp is not None  # noqa: S101 - an API server has set it
        yield Awaited(child, meta.uid, meta.creation_timestamp)


def is_owned_by(pod: Pod, job: Job) -> bool:
    """Whether the Job controller made the pod for the Job."""
    return any(owner.uid == job.metadata.uid for owner in pod.metadata.owner_references)


def builtins_of(stored: JobObject) -> dict[str, Any]:
    """The metadata as JSON values."""
    return dict(msgspec.to_builtins(stored.metadata))


def in_namespace(namespace: str, objects: Iterable[Namespaced]) -> list[Namespaced]:
    """Those of the namespace: labels are written by anyone who may write there."""
    return [obj for obj in objects if obj.metadata.namespace == namespace]
