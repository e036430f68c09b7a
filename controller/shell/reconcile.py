"""One key, looked at until nothing is left to do about it now."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic

import msgspec

from controller.api.basemodel import BaseModelStatus
from controller.api.reasons import Reason
from controller.api.status import FineTuneJobStatus
from controller.core.draft import Decision, StatusT
from controller.errors import SpecError
from controller.kube.client import Client
from controller.kube.errors import ApiError, KubeError
from controller.kube.objects import Key
from controller.kube.resources import PODS
from controller.shell.apply import Applier, NotLeading, Scene, Stale
from controller.shell.ended import EndedPods
from controller.shell.glance import owner_uid_of
from controller.shell.ledger import Ledger, version
from controller.shell.looks import ChildT, Look, ObjectT, awaited_children, is_owned_by
from controller.shell.lost import found_again, is_alive
from controller.shell.publish import Publisher
from controller.shell.records import Job, JobObject, Pod, PodList
from controller.shell.waits import Waits
from controller.shell.work import ObservedT, Work

log = logging.getLogger(__name__)

MAX_ROUNDS = 8
"""A stage costs two; whoever needs more is taken again later, so that others come in between."""


@dataclass(frozen=True)
class Again:
    """When to look at the key again without being woken."""

    after_s: float | None = None
    """None: only when something changes."""
    is_backoff: bool = False
    """After a pause that grows each time: something failed, or was refused."""


AT_ONCE = Again(after_s=0.0)
NEVER = Again()
BACKOFF = Again(is_backoff=True)


@dataclass
class Reconciler(Generic[ObjectT, ChildT, StatusT, ObservedT]):
    """Observe, decide, apply, publish: reads first, the status on every path, events last."""

    client: Client
    work: Work[ObjectT, ChildT, StatusT, ObservedT]
    applier: Applier
    publisher: Publisher
    ledger: Ledger
    ended: EndedPods
    waits: Waits
    now: Callable[[], datetime]

    async def reconcile(self, key: Key) -> Again:
        """Look at the key until it is at rest, or has to wait.

        Raises:
            KubeError: the API server could not be used; try again later.
        """
        for _ in range(MAX_ROUNDS):
            again = await self._round(key)
            if again != AT_ONCE:
                return again
        return AT_ONCE

    async def _round(self, key: Key) -> Again:
        stored = self.work.observer.stored(key)
        if stored is None:
            leaving = self.work.observer.leaving(key)
            if leaving is not None:
                self.work.leave(leaving)
            return NEVER
        try:
            look = self.work.observer.look(stored)
        except SpecError as error:
            return await self._refuse(key, stored, error)
        try:
            look = await self._with_last_word(look)
        except Stale:
            return self._again_when_stale(key, stored)
        next_look_s = await self._look_at_waits(look)
        failure, decision = await self._act(look)
        if decision is None:
            return self._again_when_stale(key, stored)
        written = await self._publish(stored, decision, look.obj.status)
        if written is None:
            return self._again_when_stale(key, stored)
        if self.work.observer.is_there(stored):
            self.work.count(look.obj, decision.status, has_changed=written is not stored)
        if failure is not None:
            raise failure
        return self._again(look, decision, next_look_s, has_written=written is not stored)

    async def _refuse(self, key: Key, stored: JobObject, error: SpecError) -> Again:
        """What cannot be read is said to be so; nothing is started, and what runs goes on."""
        decision = self.work.refuse(stored, error)
        is_alive = self.work.observer.family(stored).is_alive
        self._settle(stored, decision, None, is_alive=is_alive)
        written = await self._publish(stored, decision)
        if written is None:
            return self._again_when_stale(key, stored)
        if self.work.observer.is_there(stored):
            self.work.count_unreadable(stored, decision.status)
        return NEVER

    async def _with_last_word(self, look: Look[ObjectT, ChildT]) -> Look[ObjectT, ChildT]:
        """An attempt that is over without a word: its pods are read live, once, before it counts.

        The cache of the pods may be behind that of the Jobs, or may have been filled after the
        pod ended.
        """
        job = self.work.observer.wordless(look)
        if job is None:
            return look
        meta = job.metadata
        labels = ",".join(f"{name}={meta.labels.get(name, '')}" for name in self.work.labels)
        answer = await self.client.list(PODS, meta.namespace, label_selector=labels)
        pods = msgspec.json.decode(answer, type=PodList).items
        if look.family.lost and await self._is_back(job, pods):
            return self.work.observer.look(look.stored)
        if self.work.observer.has_job(job):  # what is gone was forgotten, and stays so
            words = self.work.observer.words_of(job)
            for pod in pods:
                if is_owned_by(pod, job):
                    words.keep(meta.uid, pod)
            words.looked_at(meta.uid)
        return self.work.observer.look(look.stored)

    async def _is_back(self, job: Job, pods: list[Pod]) -> bool:
        """Whether a Job that the cache says is gone is there after all.

        Raises:
            Stale: a pod of it is, and the cache will show it.
        """
        owner = next(iter(owner_uid_of(job)), "")
        if not self.work.observer.is_lost(owner, job):
            return False
        live = await found_again(self.client, job)
        if live is not None:
            self.ledger.created(owner, live)
        elif is_alive(job, pods):
            raise Stale
        return live is not None

    async def _act(
        self, look: Look[ObjectT, ChildT]
    ) -> tuple[KubeError | None, Decision[StatusT] | None]:
        """The decision as it is after its actions; none when it was about what is no longer so."""
        if not self.work.observer.is_there(look.stored):  # a slot taken now would never come back
            return None, None
        before = self.ledger.obstacle(look.obj.metadata)
        observed = self.work.observe(look)
        decision = self.work.decide(observed)
        failure: KubeError | None = None
        try:
            is_new = self.ledger.is_new(look.stored, observed.now)
            scene = Scene(look.stored, look.obj, look.family.jobs, is_new)
            await self.applier.apply(scene, decision.actions)
        except Stale:
            return None, None
        except NotLeading:
            raise
        except KubeError as error:
            failure = error
        is_told = self.ledger.obstacle(look.obj.metadata) != before
        if is_told and self.work.observer.is_there(look.stored):
            observed = self.work.observe(self.work.observer.look(look.stored))
            decision = self.work.decide(observed)
        self._settle(look.stored, decision, observed, is_alive=look.family.is_alive)
        return failure, decision

    def _settle(
        self,
        stored: JobObject,
        decision: Decision[StatusT],
        observed: ObservedT | None,
        *,
        is_alive: bool,
    ) -> None:
        if self.work.observer.is_there(stored):
            uid, status = stored.metadata.uid, decision.status
            self.work.settle(uid, status, observed, is_alive=is_alive)

    async def _publish(
        self,
        stored: JobObject,
        decision: Decision[StatusT],
        known: FineTuneJobStatus | BaseModelStatus | None = None,
    ) -> JobObject | None:
        """The object as it is stored; None when it has changed, and the live one is known now."""
        status, events = decision.status, decision.events
        try:
            return await self.publisher.publish(stored, status, events, known=known)
        except ApiError as error:
            if not (error.is_conflict or error.is_not_found):
                raise
        await self._refresh(stored)
        return None

    async def _refresh(self, stored: JobObject) -> None:
        """Read the object live, so that the next decision is about it."""
        meta = stored.metadata
        try:
            answer = await self.client.get(self.work.resource, meta.namespace, meta.name)
        except ApiError as error:
            if error.is_not_found:
                return
            raise
        live = msgspec.json.decode(answer, type=JobObject)
        if live.metadata.uid == meta.uid:
            self.ledger.remember(live)

    async def _look_at_waits(self, look: Look[ObjectT, ChildT]) -> float:
        """Read the events of children that take too long; seconds until the next look."""
        now, soonest_s = self.now(), math.inf
        for awaited in awaited_children(look):
            left_s = self.waits.next_look_s(awaited, now)
            if left_s <= 0:
                await self.waits.look(look.obj.metadata.namespace, awaited, now)
                left_s = self.waits.next_look_s(awaited, now)
            soonest_s = min(soonest_s, left_s)
        return soonest_s

    def _again_when_stale(self, key: Key, stored: JobObject) -> Again:
        """At once when a newer version is known; else the cache has to catch up first."""
        newest = self.work.observer.stored(key)
        is_newer = newest is not None and version(newest) > version(stored)
        return AT_ONCE if is_newer else BACKOFF

    def _again(
        self,
        look: Look[ObjectT, ChildT],
        decision: Decision[StatusT],
        next_look_s: float,
        *,
        has_written: bool,
    ) -> Again:
        obstacle = self.ledger.obstacle(look.obj.metadata)
        if obstacle is not None and obstacle.reason is not Reason.INVALID_SPEC:
            return BACKOFF
        if decision.requeue_after_s == 0:
            return AT_ONCE if has_written else BACKOFF
        after_s = min(next_look_s, decision.requeue_after_s or math.inf)
        return NEVER if math.isinf(after_s) else Again(after_s=after_s)
