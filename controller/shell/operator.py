"""The operator put together: watches fill the caches, and while it leads it works on the keys."""

import asyncio
import gc
import logging
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from typing import Any

from controller.core.conditions import State
from controller.core.heard import Speaker
from controller.kube.client import Client
from controller.kube.errors import KubeError
from controller.kube.events import EventRecorder
from controller.kube.lease import Elector
from controller.kube.objects import Key, key_of
from controller.kube.workqueue import WorkQueue
from controller.settings import OperatorSettings
from controller.shell.clientmetrics import Requests
from controller.shell.controllermetrics import CONTROLLERS
from controller.shell.ended import EndedPods
from controller.shell.glance import StatusGlance, glance_at_status, owner_key_of, owner_uid_of
from controller.shell.health import Health, serve_health
from controller.shell.kinds import ATTEMPT_LABEL, RUN_LABEL, STAGE_LABEL, UID_LABEL
from controller.shell.ledger import Ledger
from controller.shell.limits import Limits
from controller.shell.line import Place
from controller.shell.looklimit import LookLimit
from controller.shell.loops import Loops, wall_clock
from controller.shell.metrics import Metrics
from controller.shell.pods import is_over
from controller.shell.progress import Poller, Target
from controller.shell.pulse import LoopMetrics, Pulse, Watchdog
from controller.shell.records import JobObject, Pod
from controller.shell.slots import Slots, is_pausing
from controller.shell.territory import unique
from controller.shell.waits import Waits
from controller.shell.watches import Watches
from trainer.contract.request import Stage

log = logging.getLogger(__name__)

RETRY_BASE_S = 0.25
"""The first pause after an error; doubles up to ``requeue_cap_s``."""
FINISH_S = 10.0
"""How long reconciles under way may take after SIGTERM."""
CONTROLLER_NAME = "tunekeeper"


class Operator:
    """One process of the operator, leader or standby."""

    def __init__(self, client: Client, settings: OperatorSettings, identity: str) -> None:
        self.settings = settings
        self.metrics = Metrics(settings.lease_name)
        self.metrics.registry.register(Requests(client))
        self.pulse = Pulse(settings.loop_stall_s, LoopMetrics(self.metrics.registry))
        self._relists: dict[str, int] = {}
        self.queue, self.base_queue = map(self._new_queue, CONTROLLERS)
        self.ledger, self.ended = Ledger(time.monotonic), EndedPods()
        self.limits, self.looks = self._limits(), self._look_limit()
        self.waits = Waits(client, settings.pending_grace_s, settings.events_period_s)
        self.events = EventRecorder(client, controller=CONTROLLER_NAME, instance=identity)
        self.watches = self._watches(client)
        self.poller = Poller(
            self._targets, self.queue.add, settings.progress_port, settings.progress_period_s
        )
        self.elector = elector_of(client, settings, identity)
        loops = self._loops(client)
        self.workers = loops.of_jobs(self.queue, self.limits, self.poller)
        self.base_workers = loops.of_base_models(self.base_queue, self.looks)

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set.

        Raises:
            LeadershipLost: another process may lead now; this one must end.
            OSError: an address for health or metrics cannot be listened on.
        """
        async with AsyncExitStack() as stack:
            await serve_health(
                stack,
                self._health(),
                health_address=self.settings.health_address,
                metrics_address=self.settings.metrics_address,
            )
            watching = [
                asyncio.create_task(reflector.run()) for reflector in self.watches.named().values()
            ]
            telling = asyncio.create_task(self.events.run())
            beating = asyncio.create_task(self.pulse.run())
            stack.enter_context(Watchdog(self.pulse))
            for task in (telling, beating, *watching):
                stack.push_async_callback(_cancelled, task)
            await self._lead_until(stop, [telling, beating, *watching])

    async def _lead_until(self, stop: asyncio.Event, essential: list[asyncio.Task[None]]) -> None:
        leading = asyncio.create_task(self.elector.run(self._lead))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((leading, stopping, *essential), return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set():
                await self._finish_work()
            else:
                _raise_first((leading, *essential))
        finally:
            await _cancelled(stopping)
            await _cancelled(leading)  # releases the Lease

    async def _finish_work(self) -> None:
        """Let reconciles under way end, and events be written."""
        log.info("stopping: finishing what is under way")
        both = (self.workers, self.base_workers)
        for workers in both:
            workers.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH_S):
                for workers in both:
                    await workers.idle()
                await self.events.flush()

    async def _lead(self) -> None:
        """The leader's work, until cancelled."""
        await self.watches.wait_synced()
        self.remember_runs()
        gc.freeze()  # what is there now stays: not worth a look at each collection
        self.metrics.leading(True)
        log.info("leading")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.workers.run())
                group.create_task(self.base_workers.run())
                group.create_task(self.poller.run())
        finally:
            self.metrics.leading(False)

    def remember_runs(self, namespace: str = "") -> None:
        """Slots of the runs that the statuses record or whose pods live, and the line.

        Of one namespace that is seen whole from now on; else of all that are.
        """
        alive = {
            uid
            for pod in self.watches.pods.store.all()
            if not is_over(pod)
            for uid in owner_uid_of(pod)
        }
        self.looks.remember(self.watches.in_reach(self.watches.base_models, namespace))
        for stored in self.watches.in_reach(self.watches.jobs, namespace):
            meta, status = stored.metadata, glance_at_status(stored)
            if meta.uid in alive or is_under_way(status, wall_clock()):
                self.limits.runs.hold(meta.uid)
                if status.run is not None and status.run.trigger == "BaseModel":
                    self.limits.retrains.hold(meta.uid)
            elif (status.run is None or status.phase == State.QUEUED) and meta.creation_timestamp:
                self.limits.runs.expect(Place(meta.creation_timestamp, key_of(stored), meta.uid))

    def _enter(self, namespace: str) -> None:
        if self.elector.is_leader():  # else it is remembered with the others when it does lead
            self.remember_runs(namespace)

    def _leave(self, namespace: str) -> None:
        """Nobody waits behind what cannot be looked at."""
        for stored in self.watches.jobs.store.of(namespace):
            self.limits.forget(stored.metadata.uid)
        for stored in self.watches.base_models.store.of(namespace):
            self.looks.forget(stored.metadata.uid)

    def _forget(self, gone: JobObject) -> None:
        self.ledger.forget(gone.metadata.uid)
        self.limits.forget(gone.metadata.uid)
        self.queue.forget(key_of(gone))
        self.metrics.forgotten(*key_of(gone))

    def _forget_base(self, gone: JobObject) -> None:
        self.ledger.forget(gone.metadata.uid)
        self.looks.forget(gone.metadata.uid)
        self.base_queue.forget(key_of(gone))
        self.metrics.base_models.remove(key_of(gone))

    def _targets(self) -> list[Target]:
        """The pods that run and that a status records; others' answers mean nothing."""
        found = (self._target(pod) for pod in self.watches.pods.store.all() if has_address(pod))
        return [target for target in found if target is not None]

    def _target(self, pod: Pod) -> Target | None:
        key, labels = owner_key_of(pod), pod.metadata.labels
        cached = self.watches.jobs.store.get(key) if key else None
        if key is None or cached is None or labels.get(UID_LABEL) != cached.metadata.uid:
            return None
        run = glance_at_status(self.ledger.newest(cached)).run
        told = (labels.get(RUN_LABEL), labels.get(STAGE_LABEL), labels.get(ATTEMPT_LABEL))
        if run is None or told != (str(run.number), run.stage, str(run.attempt)):
            return None
        stage, uid = Stage(run.stage), cached.metadata.uid
        speaker = Speaker(uid, run.number, stage, run.attempt, pod.metadata.uid)
        return Target(key, speaker, pod.status.pod_ip)

    def _health(self) -> Health:
        return Health(
            self.watches.have_synced, self._silences_s, self._render_metrics, self.pulse.lost_s
        )

    def _silences_s(self) -> dict[str, float]:
        return {
            name: reflector.seconds_since_contact()
            for name, reflector in self.watches.named().items()
        }

    def _render_metrics(self) -> bytes:
        for name, reflector in self.watches.named().items():
            self.metrics.set_watch_age(name, reflector.seconds_since_contact())
            self.metrics.relisted(name, reflector.relists - self._relists.get(name, 0))
            self._relists[name] = reflector.relists
        for namespace, is_open in self.watches.territory.state().items():
            self.metrics.set_namespace_open(namespace, is_open=is_open)
        return self.metrics.render()

    def _new_queue(self, name: str) -> WorkQueue[Key]:
        meter = self.metrics.queues.meter(name)
        return WorkQueue(base_s=RETRY_BASE_S, cap_s=self.settings.requeue_cap_s, meter=meter)

    def _limits(self) -> Limits:
        runs, retrains = self.settings.max_concurrent_runs, self.settings.max_concurrent_retrains
        wake = self.queue.add_after
        return Limits(Slots(runs, wake, wall_clock), Slots(retrains, wake, wall_clock))

    def _look_limit(self) -> LookLimit:
        wake = self.base_queue.add_after
        return LookLimit(Slots(self.settings.max_concurrent_looks, wake, wall_clock))

    def _watches(self, client: Client) -> Watches:
        return Watches(
            client,
            self.ledger,
            self.ended,
            self.queue.add,
            self._forget,
            self.waits.forget,
            self.limits.retrains.expect,
            self.base_queue.add,
            self._forget_base,
            namespaces=unique(self.settings.watch_namespaces.split(",")),
            opened=self._enter,
            closed=self._leave,
        )

    def _loops(self, client: Client) -> Loops:
        return Loops(
            client=client,
            settings=self.settings,
            metrics=self.metrics,
            events=self.events,
            ledger=self.ledger,
            ended=self.ended,
            waits=self.waits,
            caches=self.watches.caches,
            is_leader=self.elector.is_leader,
            is_open=self.watches.territory.is_open,
        )


def elector_of(client: Client, settings: OperatorSettings, identity: str) -> Elector:
    """The candidate that this process is."""
    return Elector(
        client,
        namespace=settings.namespace,
        name=settings.lease_name,
        identity=identity,
        duration_s=settings.lease_duration_s,
        renew_s=settings.lease_renew_s,
        retry_s=settings.lease_retry_s,
    )


def is_under_way(status: StatusGlance, now: datetime) -> bool:
    """Whether a stored status records a run that holds a slot."""
    run = status.run
    if run is None or run.end_time is not None or is_pausing(run.waits, run.not_before, now):
        return False
    return status.phase not in (State.SUSPENDED, State.QUEUED, State.FAILED)


def has_address(pod: Pod) -> bool:
    """Whether the pod can be asked for its progress."""
    return pod.status.phase == "Running" and bool(pod.status.pod_ip)


def _raise_first(tasks: Iterable[asyncio.Task[None]]) -> None:
    """The error of a task that should have gone on for ever."""
    for task in tasks:
        if task.done():
            task.result()
            raise KubeError("a task of the operator ended although nothing had gone wrong")


async def _cancelled(task: "asyncio.Task[Any]") -> None:
    """End the task and wait for it; what it ended with has been told already."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
