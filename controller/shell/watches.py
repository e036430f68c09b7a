"""The four watches, and which key each change wakes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.kube.client import Client
from controller.kube.errors import ApiError, KubeError
from controller.kube.objects import Key, KubeObject, OwnerReference, key_of
from controller.kube.reflector import Reflector
from controller.kube.resources import JOBS, PODS, Resource
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
from controller.shell.lost import was_taken
from controller.shell.records import Job, JobObject, Pod
from controller.shell.territory import Territory


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
    opened: Callable[[str], None] = lambda _namespace: None
    """A namespace can be worked in from now on; not told without ``namespaces``."""
    closed: Callable[[str], None] = lambda _namespace: None
    """It cannot any more."""
    territory: Territory = field(init=False)
    jobs: Reflector[JobObject] = field(init=False)
    base_models: Reflector[JobObject] = field(init=False)
    children: Reflector[Job] = field(init=False)
    pods: Reflector[Pod] = field(init=False)

    def __post_init__(self) -> None:
        """Make the reflectors; nothing is asked before they run."""
        owner = {OWNER_INDEX: owner_uid_of}
        kinds = [kind.plural for kind in (FINETUNEJOBS, BASEMODELS, JOBS, PODS)]
        self.territory = Territory(self.namespaces, kinds, self._open, self.closed)
        self.jobs = Reflector(
            self.client,
            FINETUNEJOBS,
            JobObject,
            namespaces=self.namespaces,
            indexes={BASE_INDEX: base_models_of},
            on_change=self.job_changed,
            on_access=self._access_to(FINETUNEJOBS),
            on_rewind=start_anew,
        )
        self.base_models = Reflector(
            self.client,
            BASEMODELS,
            JobObject,
            namespaces=self.namespaces,
            indexes={UID_INDEX: uid_of},
            on_change=self.base_model_changed,
            on_access=self._access_to(BASEMODELS),
            on_rewind=start_anew,
        )
        self.children = Reflector(
            self.client,
            JOBS,
            Job,
            namespaces=self.namespaces,
            label_selector=CHILD_SELECTOR,
            indexes=owner,
            on_change=self.child_changed,
            on_access=self._access_to(JOBS),
            on_rewind=start_anew,
        )
        self.pods = Reflector(
            self.client,
            PODS,
            Pod,
            namespaces=self.namespaces,
            label_selector=CHILD_SELECTOR,
            indexes=owner,
            on_change=self.pod_changed,
            on_access=self._access_to(PODS),
            on_rewind=start_anew,
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
        """Whether every cache was filled once, as far as the server shows what it is about."""
        are_settled = all(reflector.has_settled for reflector in self.named().values())
        return are_settled and self.territory.has_room()

    async def wait_synced(self) -> None:
        """Return once every cache was filled, but for the namespaces that are refused."""
        for reflector in self.named().values():
            await reflector.wait_settled()

    def in_reach(self, kind: Reflector[JobObject], namespace: str = "") -> list[JobObject]:
        """The known objects of that namespace, or of all, where everything is seen."""
        found = kind.store.of(namespace) if namespace else kind.store.all()
        return [obj for obj in found if self.territory.is_open(obj.metadata.namespace)]

    def _access_to(self, resource: Resource) -> Callable[[str | None, ApiError | None], None]:
        def told(namespace: str | None, error: ApiError | None) -> None:
            if error is None:
                self.territory.seen(resource.plural, namespace)
            else:
                self.territory.refused(resource.plural, namespace, error)

        return told

    def _open(self, namespace: str) -> None:
        """Everything in it is looked at: its keys may have been passed over until now."""
        self.opened(namespace)
        for store, wake in ((self.jobs.store, self.wake), (self.base_models.store, self.wake_base)):
            for key in store.keys(namespace):
                wake(key)

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
            self._keep_lost(old)
            self.ledger.gone(next(iter(owner_uid_of(old)), ""), old)
            self.ended.forget(old.metadata.uid)
            self.forget_wait(old.metadata.uid)
        elif old is not None and new is not None and old.spec.suspend != new.spec.suspend:
            self.forget_wait(old.metadata.uid)  # it waits for something else now
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

    def _keep_lost(self, job: Job) -> None:
        """Only for an object that is there, or nobody would ever have it forgotten."""
        key, uid = owner_key_of(job), next(iter(owner_uid_of(job)), "")
        owner = self.jobs.store.get(key) if key is not None else None
        if owner is None or owner.metadata.uid != uid:
            return
        if was_taken(job, is_own=self.ledger.has_deleted(job)):
            words = self.ended.of([job.metadata.uid], cached=())
            self.ledger.lost.keep(uid, job, words)

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
        elif self.ledger.lost.has(uid, owner.uid):
            self.ledger.lost.words.keep(owner.uid, pod)

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


class StoreRewound(KubeError):  # noqa: N818 - what happened, not what went wrong here
    """The API server's store was put back to an earlier state."""


def start_anew() -> None:
    """Nothing that is remembered of a later state can be believed: not the other caches either.

    Raises:
        StoreRewound: the process has to end; the next one begins with what is stored.
    """
    raise StoreRewound("the API server's store was put back; what was known of it is void")


def _uid_label(child: KubeObject) -> str:
    return next(iter(owner_uid_of(child)), "")


def controller_of(obj: KubeObject) -> OwnerReference | None:
    """Whoever made the object and is responsible for it."""
    return next((owner for owner in obj.metadata.owner_references if owner.controller), None)
