"""Takes keys from the queue and has them reconciled, several at once, one key never twice."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from controller.kube.backoff import MAX_RETRY_AFTER_S
from controller.kube.errors import ApiError, KubeError
from controller.kube.objects import Key
from controller.kube.workqueue import ShutDown, WorkQueue
from controller.shell.controllermetrics import CONTROLLERS, Result
from controller.shell.metrics import Metrics
from controller.shell.reconcile import Again
from controller.shell.whereabouts import Where

log = logging.getLogger(__name__)


@dataclass
class Workers:
    """A fixed number of them. ``stop`` lets each finish what it has in hand."""

    queue: WorkQueue[Key]
    reconcile: Callable[[Key], Awaitable[Again]]
    metrics: Metrics
    count: int
    controller: str = CONTROLLERS[0]
    """Which of the two loops this is, in metrics."""
    where: Callable[[Key], Where] = lambda key: {"job": "/".join(key)}
    """What a log line says of an object."""
    _is_stopping: bool = False
    _at_work: set[Key] = field(default_factory=set)
    _is_idle: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Work until ``stop`` was called, or cancelled."""
        self.metrics.controllers.has_workers(self.controller, self.count)
        async with asyncio.TaskGroup() as group:
            for _ in range(self.count):
                group.create_task(self._work())

    async def idle(self) -> None:
        """Return when nothing is in hand."""
        while self._at_work:
            self._is_idle.clear()
            await self._is_idle.wait()

    def stop(self) -> None:
        """Take no more keys."""
        self._is_stopping = True
        self.queue.shut_down()

    async def _work(self) -> None:
        while True:
            try:
                key = await self.queue.get()
            except ShutDown:
                return
            self._at_work.add(key)
            try:
                if not self._is_stopping:
                    await self._one(key)
            finally:
                self._at_work.discard(key)
                self._is_idle.set()
                self.queue.done(key)

    async def _one(self, key: Key) -> None:
        start_s = time.monotonic()
        self.metrics.controllers.began(self.controller)
        try:
            again = await self.reconcile(key)
        except KubeError as error:
            self._retry_after_error(key, error, start_s)
        except Exception:
            log.exception("reconcile failed; the status is as it was", extra=self.where(key))
            self.queue.add_rate_limited(key)
            self.metrics.controllers.panicked(self.controller)
            self._count("error", start_s)
        else:
            self._requeue(key, again)
            self._count(result_of(again), start_s)
        finally:
            self.metrics.controllers.ended(self.controller)

    def _count(self, result: Result, start_s: float) -> None:
        seconds = time.monotonic() - start_s
        self.metrics.controllers.reconciled(self.controller, result, seconds)

    def _retry_after_error(self, key: Key, error: KubeError, start_s: float) -> None:
        log.warning("%s; tried again later", error, extra=self.where(key))
        asked_s = error.retry_after_s if isinstance(error, ApiError) else None
        self.queue.add_rate_limited(key, at_least_s=min(asked_s or 0.0, MAX_RETRY_AFTER_S))
        self._count("error", start_s)

    def _requeue(self, key: Key, again: Again) -> None:
        if again.is_backoff:
            self.queue.add_rate_limited(key)
            return
        self.queue.forget(key)
        if again.after_s is not None:
            self.queue.add_after(key, again.after_s)


def result_of(again: Again) -> Result:
    """In controller-runtime's words."""
    if again.is_backoff:
        return "requeue"
    return "success" if again.after_s is None else "requeue_after"
