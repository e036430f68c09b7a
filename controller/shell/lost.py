"""Jobs that somebody else deleted before their outcome was in a status: JobLost.

The Job is kept in memory with the last words of its pods, so that a stage that did its work has
done it although its Job is gone, and so that no other attempt begins beside a pod that outlived it.
Nothing of this is stored: a process that has never seen the Job starts the recorded attempt again,
which the fence in the output makes safe.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from controller.kube.client import Client
from controller.kube.errors import ApiError
from controller.kube.resources import JOBS
from controller.shell.ended import EndedPods
from controller.shell.kinds import STAGE_LABEL
from controller.shell.pods import is_over
from controller.shell.records import Job, Pod

MAX_PER_OBJECT = 2
"""One attempt is recorded at a time; whatever is older is of no interest."""


@dataclass
class LostJobs:
    """By the uid of the object that they belonged to. Whoever sees that go has to ``forget`` it."""

    words: EndedPods = field(default_factory=EndedPods)
    """Of their pods."""
    _jobs: dict[str, dict[str, Job]] = field(default_factory=dict)

    def keep(self, uid: str, job: Job, pods: Iterable[Pod]) -> None:
        """The Job is gone, and nobody here has deleted it; an errand is simply done again."""
        if STAGE_LABEL not in job.metadata.labels:
            return
        kept = self._jobs.setdefault(uid, {})
        kept[job.metadata.name] = job
        for pod in pods:
            self.words.keep(job.metadata.uid, pod)
        if len(kept) > MAX_PER_OBJECT:
            self._drop(uid, next(iter(kept)))

    def of(self, uid: str, known: Iterable[Job] = ()) -> tuple[Job, ...]:
        """Those of the object; one whose name is there again is lost no more."""
        for job in known:
            self._drop(uid, job.metadata.name)
        return tuple(self._jobs.get(uid, {}).values())

    def has(self, uid: str, job_uid: str) -> bool:
        """Whether the Job with that uid is one of them."""
        return any(job.metadata.uid == job_uid for job in self._jobs.get(uid, {}).values())

    def forget(self, uid: str) -> None:
        """The object is gone."""
        for name in list(self._jobs.get(uid, {})):
            self._drop(uid, name)

    def _drop(self, uid: str, name: str) -> None:
        kept = self._jobs.get(uid, {})
        job = kept.pop(name, None)
        if job is not None:
            self.words.forget(job.metadata.uid)
        if not kept:
            self._jobs.pop(uid, None)


def was_taken(job: Job, *, is_own: bool) -> bool:
    """Whether a Job that is gone was lost: deleted by others, and not after its pods had ended.

    One that is deleted in the foreground stays until they have, so its end was seen.
    """
    meta = job.metadata
    return not is_own and (meta.deletion_timestamp is None or "orphan" in meta.finalizers)


async def found_again(client: Client, job: Job) -> Job | None:
    """The Job that the cache says is gone, by a live look: the cache may be the one that is wrong.

    Raises:
        ApiError: the server could not tell.
        TransportError: it did not answer.
    """
    meta = job.metadata
    try:
        answer = await client.get(JOBS, meta.namespace, meta.name)
    except ApiError as error:
        if error.is_not_found:
            return None
        raise
    live = msgspec.json.decode(answer, type=Job)
    return live if live.metadata.uid == meta.uid else None


def is_alive(job: Job, pods: Iterable[Pod]) -> bool:
    """Whether one of these pods of the attempt has outlived the Job; orphans have no owner."""
    owned = (pod for pod in pods if not is_over(pod))
    return any(
        not pod.metadata.owner_references
        or any(owner.uid == job.metadata.uid for owner in pod.metadata.owner_references)
        for pod in owned
    )
