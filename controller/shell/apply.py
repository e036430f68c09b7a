"""Executes the core's actions on an API server: creates and deletes Jobs, each with a last look.

Between a decision and its create lie a live read of the object, a live look at its pods and a
look at the lease. Nothing here decides what should run; it only finds out that the decision was
made about something that is no longer so.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from controller.api.basemodel import BaseModelObject
from controller.api.finetunejob import FineTuneJob
from controller.core.actions import Action, StartErrand, StartStage, StopStage
from controller.core.children import Obstacle
from controller.kube.client import Client
from controller.kube.errors import ApiError, KubeError
from controller.kube.resources import JOBS, PODS, Resource
from controller.shell.children import may_start
from controller.shell.errandtemplate import errand_manifest
from controller.shell.kinds import (
    ATTEMPT_LABEL,
    ATTEMPT_LABELS,
    CHILD_SELECTOR,
    ERRAND_LABELS,
    FINETUNEJOBS,
    NUMBER_LABEL,
    UID_LABEL,
)
from controller.shell.ledger import Ledger
from controller.shell.metrics import Metrics
from controller.shell.records import Job, JobList, JobObject, Pod, PodList
from controller.shell.refusals import (
    being_deleted,
    name_conflict,
    not_ended,
    refusal_of,
    still_ending,
)
from controller.shell.template import PodSettings, job_manifest
from controller.shell.whereabouts import where_of_child
from trainer.contract.request import Stage

log = logging.getLogger(__name__)

Manifest = dict[str, Any]
"""A Job as it is sent."""

OVER = frozenset({"Succeeded", "Failed"})


class Stale(Exception):  # noqa: N818 - no error: decide again on what is there now
    """The decision was made about something that has changed."""


class NotLeading(KubeError):  # noqa: N818 - an end, not an error of a request
    """The lease may have passed to another; nothing is written any more."""


@dataclass(frozen=True)
class Scene:
    """What the actions are about."""

    stored: JobObject
    obj: FineTuneJob | BaseModelObject
    jobs: Sequence[Job]
    """The known children."""
    is_new: bool = False
    """So young that no process can have forgotten a child of it."""


@dataclass(frozen=True)
class Birth:
    """A child about to be created, of either kind."""

    wanted: Manifest
    labels: tuple[str, ...]
    """Together they say which attempt or errand it is, and what it is true for."""
    number_label: str
    stage: str
    is_first: bool
    """It is the first that the object can have."""
    place: Mapping[str, str | int]
    """What a log line says of where it comes from."""


@dataclass
class Applier:
    """The only writer of children."""

    client: Client
    ledger: Ledger
    metrics: Metrics
    pods: PodSettings
    is_leader: Callable[[], bool]
    resource: Resource = FINETUNEJOBS

    async def apply(self, scene: Scene, actions: Sequence[Action]) -> None:
        """Execute in order; what the server refuses is put down as the object's obstacle.

        Raises:
            Stale: decide again.
            ApiError: the server could not do it.
            TransportError: whether it was done is unknown.
            NotLeading: this process may not act any more.
        """
        for action in actions:
            match action:
                case StopStage():
                    await self._stop(scene, action)
                case StartStage() | StartErrand():
                    found = await self._start(scene, self._birth(scene.obj, action))
                    self.ledger.put_obstacle(scene.obj.metadata, found)

    def _birth(self, obj: FineTuneJob | BaseModelObject, action: StartStage | StartErrand) -> Birth:
        match obj, action:
            case FineTuneJob(), StartStage():
                return stage_birth(action, job_manifest(obj, action, self.pods))
            case BaseModelObject(), StartErrand():
                return errand_birth(action, errand_manifest(obj, action, self.pods))
            case _:
                raise AssertionError(f"{action.name} is no child of a {obj.kind}")

    async def _stop(self, scene: Scene, action: StopStage) -> None:
        job = next((job for job in scene.jobs if job.metadata.name == action.name), None)
        if job is None or self.ledger.was_deleted(job):
            return
        self._check_lease()
        meta = job.metadata
        try:
            await self.client.delete(JOBS, meta.namespace, meta.name, uid=meta.uid)
        except ApiError as error:
            if not error.is_conflict:
                raise
            return  # another object has the name by now; ours is gone
        self.metrics.write("delete", "Job")
        owner = scene.stored.metadata
        where = where_of_child(f"{owner.namespace}/{owner.name}", job)
        log.info("deleted Job %s: %s", meta.name, action.why, extra=where)
        self.ledger.deleted(job)

    async def _start(self, scene: Scene, birth: Birth) -> Obstacle | None:
        if scene.jobs or not (birth.is_first and scene.is_new):  # else nothing of it can be alive
            alive = await self._find_alive(scene)
            if alive is not None:
                return await self._explain(birth, alive)
            rival = await self._find_rival(scene, birth)
            if rival is not None:
                return not_ended(rival.metadata.name)
        await self._check_live(scene.stored)
        self._check_lease()
        return await self._create(birth)

    async def _find_alive(self, scene: Scene) -> Pod | None:
        """A pod of the object that may still be alive, by a live look."""
        meta = scene.stored.metadata
        answer = await self.client.list(
            PODS, meta.namespace, label_selector=f"{UID_LABEL}={meta.uid}"
        )
        pods = msgspec.json.decode(answer, type=PodList).items
        return next((pod for pod in pods if pod.status.phase not in OVER), None)

    async def _find_rival(self, scene: Scene, birth: Birth) -> Job | None:
        """Another Job of the object that may yet start a pod: made by whoever else leads."""
        meta = scene.stored.metadata
        selector = f"{CHILD_SELECTOR},{UID_LABEL}={meta.uid}"
        answer = await self.client.list(JOBS, meta.namespace, label_selector=selector)
        wanted = birth.wanted["metadata"]["name"]
        found = msgspec.json.decode(answer, type=JobList).items
        own = (job for job in found if is_controlled_by(job, meta.uid))
        return next((j for j in own if j.metadata.name != wanted and may_start(j)), None)

    async def _explain(self, birth: Birth, alive: Pod) -> Obstacle | None:
        """A pod of this very attempt is no obstacle when its Job is there: ours, seen late."""
        found = await self._get_job(birth.wanted)
        if found is not None and is_same_attempt(found, birth):
            self.ledger.created(owner_uid(birth.wanted), found)
            return None
        attempt = alive.metadata.labels.get(birth.number_label, "(unknown)")
        return still_ending(alive.metadata.name, attempt, alive.spec.node_name)

    async def _check_live(self, stored: JobObject) -> None:
        meta = stored.metadata
        try:
            answer = await self.client.get(self.resource, meta.namespace, meta.name)
        except ApiError as error:
            if error.is_not_found:
                raise Stale from None
            raise
        live = msgspec.json.decode(answer, type=JobObject)
        if live.metadata.uid != meta.uid:
            raise Stale
        if live.metadata.resource_version != meta.resource_version:
            self.ledger.remember(live)
            raise Stale

    def _check_lease(self) -> None:
        if not self.is_leader():
            raise NotLeading("the Lease may have passed to another process")

    async def _create(self, birth: Birth) -> Obstacle | None:
        wanted, meta = birth.wanted, birth.wanted["metadata"]
        try:
            answer = await self.client.create(JOBS, meta["namespace"], msgspec.json.encode(wanted))
        except ApiError as error:
            if error.is_already_exists:
                return await self._look_at_namesake(birth)
            refusal = refusal_of(error, name=meta["name"])
            if refusal is None:
                raise
            return refusal
        self.metrics.write("create", "Job")
        self.metrics.stage_started(birth.stage)
        log.info("created Job %s", meta["name"], extra=birth.place)
        self.ledger.created(owner_uid(wanted), msgspec.json.decode(answer, type=Job))
        return None

    async def _look_at_namesake(self, birth: Birth) -> Obstacle | None:
        """A create whose answer was lost is as good as one that was not."""
        found = await self._get_job(birth.wanted)
        if found is None:
            raise Stale  # it was there a moment ago
        name = found.metadata.name
        if not is_same_attempt(found, birth):
            return name_conflict(name)
        if found.metadata.deletion_timestamp is not None:
            return being_deleted(name)
        self.ledger.created(owner_uid(birth.wanted), found)
        return None

    async def _get_job(self, wanted: Manifest) -> Job | None:
        meta = wanted["metadata"]
        try:
            answer = await self.client.get(JOBS, meta["namespace"], meta["name"])
        except ApiError as error:
            if error.is_not_found:
                return None
            raise
        return msgspec.json.decode(answer, type=Job)


def owner_uid(wanted: Manifest) -> str:
    """The uid of the object that a manifest names as the owner."""
    return str(wanted["metadata"]["ownerReferences"][0]["uid"])


def is_same_attempt(found: Job, birth: Birth) -> bool:
    """Whether a Job on the server is what we would create: same owner, attempt and spec hash."""
    labels = birth.wanted["metadata"]["labels"]
    return is_controlled_by(found, owner_uid(birth.wanted)) and all(
        found.metadata.labels.get(name) == labels[name] for name in birth.labels
    )


def is_controlled_by(job: Job, uid: str) -> bool:
    """Whether the object with that uid has made the Job."""
    return any(owner.uid == uid and owner.controller for owner in job.metadata.owner_references)


def stage_birth(action: StartStage, wanted: Manifest) -> Birth:
    """Of an attempt at a stage."""
    request = action.request
    job = f"{request.job.namespace}/{request.job.name}"
    return Birth(
        wanted,
        ATTEMPT_LABELS,
        ATTEMPT_LABEL,
        request.stage.value,
        is_first=(request.run, request.stage, request.attempt) == (1, Stage.PREPARE, 1),
        place={"job": job, "run": request.run, "attempt": request.attempt},
    )


def errand_birth(action: StartErrand, wanted: Manifest) -> Birth:
    """Of an errand."""
    request = action.request
    base = f"{request.base_model.namespace}/{request.base_model.name}"
    return Birth(
        wanted,
        ERRAND_LABELS,
        NUMBER_LABEL,
        request.errand.value,
        is_first=request.number == 1,
        place={"basemodel": base, "number": request.number},
    )
