"""BaseModels, as the reconciler works on them."""

from collections.abc import Sequence
from dataclasses import dataclass

from controller.api.basemodel import BaseModelObject, BaseModelStatus
from controller.api.meta import ObjectMeta
from controller.api.read import read_base_model, read_base_model_status, read_metadata
from controller.core.draft import Decision
from controller.core.watching.child import ErrandChild
from controller.core.watching.decide import decide_base_model
from controller.core.watching.observed import ObservedBase, WatchSettings
from controller.core.watching.unreadable import refuse_unreadable_base
from controller.errors import SpecError
from controller.kube.store import Store
from controller.shell.errands import errands_of
from controller.shell.kinds import BASEMODELS, ERRAND_LABELS
from controller.shell.looklimit import LookLimit
from controller.shell.looks import AnyObserver, Look, builtins_of
from controller.shell.metrics import Metrics
from controller.shell.records import Job, JobObject, Pod
from controller.shell.work import Work


@dataclass(kw_only=True)
class BaseModelObserver(AnyObserver[BaseModelObject, ErrandChild]):
    """Of BaseModels."""

    settings: WatchSettings

    @property
    def objects(self) -> Store[JobObject]:
        """The BaseModels."""
        return self.caches.base_models

    def read(self, stored: JobObject) -> BaseModelObject:
        """The base model, read whole."""
        return read_base_model(builtins_of(stored), stored.spec, stored.status)

    def children(
        self, uid: str, jobs: Sequence[Job], pods: Sequence[Pod], lost: Sequence[Job]
    ) -> tuple[ErrandChild, ...]:
        """The errands of the base model with that uid; a lost one is done again."""
        del lost
        return errands_of(uid, jobs, pods)

    def is_recorded(self, obj: BaseModelObject, child: ErrandChild) -> bool:
        """Whether it is the errand under way."""
        errand = obj.status.errand
        if errand is None or errand.end_time is not None:
            return False
        return (child.number, child.errand) == (errand.number, errand.errand)

    def observe(self, look: Look[BaseModelObject, ErrandChild]) -> ObservedBase:
        """What the decision is made about."""
        return ObservedBase(
            base=look.obj,
            now=self.now(),
            children=tuple(self.explained(look)),
            settings=self.settings,
            obstacle=self.ledger.obstacle(look.obj.metadata),
        )


@dataclass
class BaseModelWork(Work[BaseModelObject, ErrandChild, BaseModelStatus, ObservedBase]):
    """With a limit to how many look at their sources at once."""

    observer: BaseModelObserver
    metrics: Metrics
    looks: LookLimit
    resource = BASEMODELS
    labels = ERRAND_LABELS

    def observe(self, look: Look[BaseModelObject, ErrandChild]) -> ObservedBase:
        """Takes the place that is free for it."""
        return self.looks.placed(self.observer.observe(look))

    def decide(self, observed: ObservedBase) -> Decision[BaseModelStatus]:
        """By the core."""
        return decide_base_model(observed)

    def refuse(self, stored: JobObject, error: SpecError) -> Decision[BaseModelStatus]:
        """It is said to be so, and no more."""
        metadata, status = _parts(stored)
        now = self.observer.now()
        return refuse_unreadable_base(metadata, status, error, now)

    def settle(
        self, uid: str, status: BaseModelStatus, observed: ObservedBase | None, *, is_alive: bool
    ) -> None:
        """It keeps its place, or gives it back."""
        del is_alive  # of a write-back too, which takes no place
        self.looks.settle(uid, status, observed)

    def leave(self, uid: str) -> None:
        """A finalizer may hold it for long; nobody waits behind it."""
        self.looks.forget(uid)

    def count(self, obj: BaseModelObject, status: BaseModelStatus, *, has_changed: bool) -> None:
        """Bring the metrics to what is stored."""
        meta = obj.metadata
        key = (meta.namespace, meta.name)
        self.metrics.base_models.put(key, status)
        if has_changed:
            self.metrics.base_models.count(key, obj.status, status)

    def count_unreadable(self, stored: JobObject, status: BaseModelStatus) -> None:
        """The same without counting."""
        meta = stored.metadata
        self.metrics.base_models.put((meta.namespace, meta.name), status)


def _parts(stored: JobObject) -> tuple[ObjectMeta, BaseModelStatus]:
    return read_metadata(builtins_of(stored)), read_base_model_status(stored.status)
