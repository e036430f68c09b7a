"""The last words of pods that are gone, kept for as long as their Job may be decided about.

The Job controller lets go of a pod that was deleted as soon as it has counted it, and the pod
vanishes with its termination message: often before anybody decided about the attempt. The class of
the failure survives in the Job's condition; the checkpoint step and the outcome do not.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from controller.shell.pods import is_over
from controller.shell.records import Pod

MAX_PER_JOB = 4
"""A Job of ours starts one pod, and a second one only by accident."""


@dataclass
class EndedPods:
    """By the uid of the Job that controls them. Whoever sees a Job go has to ``forget`` it."""

    _pods: dict[str, dict[str, Pod]] = field(default_factory=dict)
    _looked: set[str] = field(default_factory=set)

    def keep(self, job_uid: str, pod: Pod) -> None:
        """The pod is gone; of one that had not ended there is nothing to remember."""
        if not is_over(pod):
            return
        kept = self._pods.setdefault(job_uid, {})
        kept[pod.metadata.uid] = pod
        if len(kept) > MAX_PER_JOB:
            del kept[next(iter(kept))]

    def of(self, job_uids: Iterable[str], *, cached: Iterable[Pod]) -> list[Pod]:
        """The kept pods of these Jobs that the cache does not show."""
        known = {pod.metadata.uid for pod in cached}
        kept = (self._pods.get(uid, {}) for uid in job_uids)
        return [pod for pods in kept for uid, pod in pods.items() if uid not in known]

    def looked_at(self, job_uid: str) -> None:
        """The Job's pods were read live: there is no more to be found."""
        self._looked.add(job_uid)

    def was_looked_at(self, job_uid: str) -> bool:
        """Whether they were."""
        return job_uid in self._looked

    def forget(self, job_uid: str) -> None:
        """The Job is gone."""
        self._pods.pop(job_uid, None)
        self._looked.discard(job_uid)

    def __len__(self) -> int:
        """How many Jobs something is remembered of."""
        return len(self._pods.keys() | self._looked)
