"""The four watches, and which key each change wakes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.kube.client import Client
from controller.kube.objects import Key, KubeObject, OwnerReference, key_of
from controller.kube.reflector import Reflector
from controller.kube.resources import JOBS, PODS
from controller.shell.ended import EndedPods
from controller.shell.glance import (
    base_models_of,
    has_news_for_jobs,
    is_retrained_by_itself,
    owner_key_of,
    owner_uid_of,
    uid_of,
)
from controller.shell.kinds import BASEMODELS, CHILD_SELECTOR, ERRAND_LABEL, FINETUNEJOBS
from controller.shell.ledger import Ledger
from controller.shell.line import Place
from controller.shell.looks import BASE_INDEX, OWNER_INDEX, UID_INDEX, Caches
from controller.shell.records import Job, JobObject, Pod


@dataclass
class Watches:
    """Fills the caches. Says which keys have news, and which objects are gone."""

    client: Client
    ledger: Ledger
    ended: EndedPods
    wake: Callable[[Key], None]
    forget: Callable[[JobObject], None]
    """A FineTuneJob is gone."""
    forget_wait: Callable[[str], None]
    """A Job is gone, or a pod is past waiting; by uid."""
    expect_retrain: Callable[[Place], None]
    """A FineTuneJob may be trained again: it is in the line before anyone decides about it."""
    wake_base: Callable[[Key], None]
    forget_base: Callable[[JobObject], None]
    """A BaseModel is gone."""
    namespaces: Sequence[str] = ()
    """Where to look; none: everywhere."""
    jobs: Reflector[JobObject] = field(init=False)
    base_models: Reflector[JobObject] = field(init=False)
    children: Reflector[Job] = field(init=False)
    pods: Reflector[Pod] = field(init=False)

    def __post_init__(self) -> None:
        """Make the reflectors; nothing is asked before they run."""
        owner = {OWNER_INDEX: owner_uid_of}
        self.jobs = Reflector(
            self.client,
            FINETUNEJOBS,
            JobObject,
            namespaces=self.namespaces,
            indexes={BASE_INDEX: base_models_of},
            on_change=self.job_changed,
        )
        self.base_models = Reflector(
            self.client,
            BASEMODELS,
            JobObject,
            namespaces=self.namespaces,
            indexes={UID_INDEX: uid_of},
            on_change=self.base_model_changed,
        )
        self.children = Reflector(
            self.client,
            JOBS,
            Job,
            namespaces=self.namespaces,
            label_selector=CHILD_SELECTOR,
            indexes=owner,
            on_change=self.child_changed,
        )
        self.pods = Reflector(
            self.client,
            PODS,
            Pod,
            namespaces=self.namespaces,
            label_selector=CHILD_SELECTOR,
            indexes=owner,
            on_change=self.pod_changed,
        )

    @property
    def caches(self) -> Caches:
        """What the reflectors keep."""
        return Caches(self.jobs.store, self.base_models.store, self.children.store, self.pods.store)

    def named(self) -> "dict[str, Reflector[Any]]":
        """The reflectors by the name of what they watch."""
        return {
            "finetunejobs": self.jobs,
            "basemodels": self.base_models,
            "jobs": self.children,
            "pods": self.pods,
        }

    def have_synced(self) -> bool:
        """Whether every cache was filled once."""
        return all(reflector.has_synced for reflector in self.named().values())

    async def wait_synced(self) -> None:
        """Return once every cache was filled."""
        for reflector in self.named().values():
            await reflector.wait_synced()

    def job_changed(self, old: JobObject | None, new: JobObject | None) -> None:
        """A FineTuneJob has news, unless it is the echo of an own write."""
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            self.forget(old)
        if new is not None and not self.ledger.is_own(new):
            self.wake(key_of(new))

    def base_model_changed(self, old: JobObject | None, new: JobObject | None) -> None:
        """A BaseModel has news for itself, and perhaps for every FineTuneJob that names it."""
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            self.forget_base(old)
        if new is not None and not self.ledger.is_own(new):
            self.wake_base(key_of(new))
        if not has_news_for_jobs(old, new):
            return
        namespace, name = key_of(self._there(old, new))
        users = list(self.jobs.store.by_index(BASE_INDEX, f"{namespace}/{name}"))
        for job in users:  # all of them first: the oldest is first, whoever is decided first
            created = job.metadata.creation_timestamp
            if created is not None and is_retrained_by_itself(job):
                self.expect_retrain(Place(created, key_of(job), job.metadata.uid))
        for job in users:
            self.wake(key_of(job))

    def child_changed(self, old: Job | None, new: Job | None) -> None:
        """The object of a Job has news."""
        child: Job = self._there(old, new)
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            self.ledger.gone(next(iter(owner_uid_of(old)), ""), old)
            self.ended.forget(old.metadata.uid)
            self.forget_wait(old.metadata.uid)
        if old is None and self.ledger.is_own_child(_uid_label(child), child):
            return  # whatever becomes of it will be told
        self._wake_owner(child)

    def pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        """The object of a pod has news."""
        pod: Pod = self._there(old, new)
        if new is None or pod.status.phase not in ("", "Pending"):
            self.forget_wait(pod.metadata.uid)
        if new is None:
            self._keep_word(pod)
        self._wake_owner(pod)

    def _keep_word(self, pod: Pod) -> None:
        """Only for a Job that is there: nobody else would ever have it forgotten."""
        owner = controller_of(pod)
        if owner is None:
            return
        job = self.children.store.get((pod.metadata.namespace, owner.name))
        is_there = job is not None and job.metadata.uid == owner.uid
        uid = next(iter(owner_uid_of(pod)), "")
        if is_there or self.ledger.has_created(uid, owner.name, owner.uid):
            self.ended.keep(owner.uid, pod)

    def _wake_owner(self, child: KubeObject) -> None:
        if ERRAND_LABEL in child.metadata.labels:
            for base in self.base_models.store.by_index(UID_INDEX, _uid_label(child)):
                self.wake_base(key_of(base))
            return
        key = owner_key_of(child)
        if key is not None:
            self.wake(key)

    @staticmethod
    def _there(old: Any, new: Any) -> Any:  # noqa: ANN401 - an object of either side
        return old if new is None else new


def _uid_label(child: KubeObject) -> str:
    return next(iter(owner_uid_of(child)), "")


def controller_of(obj: KubeObject) -> OwnerReference | None:
    """Whoever made the object and is responsible for it."""
    return next((owner for owner in obj.metadata.owner_references if owner.controller), None)
