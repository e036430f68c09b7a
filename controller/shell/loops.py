"""The two loops put together: the same reconcile for either kind, each with its own work."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from controller.api.compute import EnvVar, Resources
from controller.api.status import Images
from controller.core.draft import StatusT
from controller.core.observed import Settings
from controller.core.watching.observed import WatchSettings
from controller.kube.client import Client
from controller.kube.events import EventRecorder
from controller.kube.objects import Key
from controller.kube.workqueue import WorkQueue
from controller.settings import OperatorSettings
from controller.shell.apply import Applier
from controller.shell.basemodels import BaseModelObserver, BaseModelWork
from controller.shell.controllermetrics import CONTROLLERS
from controller.shell.ended import EndedPods
from controller.shell.jobs import JobWork
from controller.shell.ledger import Ledger
from controller.shell.limits import Limits
from controller.shell.looklimit import LookLimit
from controller.shell.looks import Caches, ChildT, ObjectT
from controller.shell.metrics import Metrics
from controller.shell.observe import Observer
from controller.shell.progress import Poller
from controller.shell.publish import Publisher
from controller.shell.reconcile import NEVER, Again, Reconciler
from controller.shell.template import PodSettings
from controller.shell.waits import Waits
from controller.shell.whereabouts import where_of_base, where_of_job
from controller.shell.work import ObservedT, Work
from controller.shell.workers import Workers

Reconcile = Callable[[Key], Awaitable[Again]]


def wall_clock() -> datetime:
    """The time, in the one place that reads it for the operator."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Loops:
    """What both share."""

    client: Client
    settings: OperatorSettings
    metrics: Metrics
    events: EventRecorder
    ledger: Ledger
    ended: EndedPods
    waits: Waits
    caches: Caches
    is_leader: Callable[[], bool]
    is_open: Callable[[str], bool]
    """Whether everything in a namespace may be seen."""

    def of_jobs(self, queue: WorkQueue[Key], limits: Limits, poller: Poller) -> Workers:
        """The one for FineTuneJobs."""
        observer = Observer(
            caches=self.caches,
            ledger=self.ledger,
            ended=self.ended,
            waits=self.waits,
            limits=limits,
            poller=poller,
            settings=core_settings(self.settings),
            now=wall_clock,
        )
        loop = self._reconciler(JobWork(observer, limits, self.metrics))
        return Workers(
            queue,
            self._where_allowed(loop.reconcile),
            self.metrics,
            self.settings.workers,
            CONTROLLERS[0],
            lambda key: where_of_job(key, observer.stored(key)),
        )

    def of_base_models(self, queue: WorkQueue[Key], looks: LookLimit) -> Workers:
        """The one for BaseModels."""
        observer = BaseModelObserver(
            caches=self.caches,
            ledger=self.ledger,
            ended=self.ended,
            waits=self.waits,
            settings=watch_settings(self.settings),
            now=wall_clock,
        )
        loop = self._reconciler(BaseModelWork(observer, self.metrics, looks))
        return Workers(
            queue,
            self._where_allowed(loop.reconcile),
            self.metrics,
            self.settings.workers,
            CONTROLLERS[1],
            lambda key: where_of_base(key, observer.stored(key)),
        )

    def _reconciler(
        self, work: Work[ObjectT, ChildT, StatusT, ObservedT]
    ) -> Reconciler[ObjectT, ChildT, StatusT, ObservedT]:
        """The same loop for either kind."""
        ledger, metrics, kind = self.ledger, self.metrics, work.resource
        pods = pod_settings(self.settings)
        return Reconciler(
            client=self.client,
            work=work,
            applier=Applier(self.client, ledger, metrics, pods, self.is_leader, kind),
            publisher=Publisher(self.client, self.events, ledger, metrics, kind),
            ledger=ledger,
            ended=self.ended,
            waits=self.waits,
            now=wall_clock,
        )

    def _where_allowed(self, reconcile: Reconcile) -> Reconcile:
        """Nothing is decided about an object of which not everything may be seen."""

        async def guarded(key: Key) -> Again:
            return await reconcile(key) if self.is_open(key[0]) else NEVER

        return guarded


def watch_settings(settings: OperatorSettings) -> WatchSettings:
    """What the core knows of the settings when it decides about a BaseModel."""
    return WatchSettings(retry_base_s=settings.retry_base_s, image=settings.image)


def core_settings(settings: OperatorSettings) -> Settings:
    """What the core knows of the settings."""
    return Settings(
        retry_base_s=settings.retry_base_s,
        retry_cap_s=settings.retry_cap_s,
        images=Images(cpu=settings.image, trainer=settings.trainer_image),
        price_per_gpu_hour=settings.price_per_gpu_hour or None,
        currency=settings.currency,
    )


def pod_settings(settings: OperatorSettings) -> PodSettings:
    """What the pods' template knows of the settings."""
    return PodSettings(
        image_pull_policy=settings.image_pull_policy,
        fs_group=settings.fs_group,
        progress_port=settings.progress_port,
        train_resources=_resources(settings.train_resources),
        cpu_stage_resources=_resources(settings.cpu_stage_resources),
        env=_variables(settings.stage_env),
    )


def _variables(text: str) -> tuple[EnvVar, ...]:
    return tuple(EnvVar(name=name, value=value) for name, value in json.loads(text or "{}").items())


def _resources(text: str) -> Resources | None:
    return Resources.model_validate_json(text) if text else None
