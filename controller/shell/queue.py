"""What a Job in a queue of Kueue shows of itself, and what events say of its wait. Pure.

No object of Kueue's own kinds is read.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from controller.api.reasons import Reason
from controller.core.children import Obstacle, Span
from controller.core.failures import hindrance
from controller.shell.kinds import QUEUE_LABEL
from controller.shell.pods import ended_at, is_over
from controller.shell.records import Job, JobCondition, Pod
from controller.shell.refusals import words

JOB_REASONS = frozenset(
    {"Stopped", "UpdatedAdmissionCheck", "ErrWorkloadCompose", "WorkloadPriorityClassNotFound"}
)
"""Of Kueue's events about a Job, those that say why it waits."""

_WORKLOAD = re.compile(r"^Created Workload: [^/\s]+/([a-z0-9][a-z0-9.-]*)$")


def queue_of(job: Job) -> str:
    """The LocalQueue that it waits in; empty: none."""
    return job.metadata.labels.get(QUEUE_LABEL, "")


def is_restartable(job: Job) -> bool:
    """Whether one pod of it may follow another: it is suspended, or was before."""
    return job.spec.suspend or _suspended(job) is not None


def is_replaced(job: Job, pod: Pod) -> bool:
    """Whether the pod was taken away when the Job was suspended, and another one follows."""
    if job.spec.suspend:
        return True
    resumed, created = _suspended(job), pod.metadata.creation_timestamp
    if resumed is None or resumed.last_transition_time is None or created is None:
        return False
    return resumed.status == "False" and created < resumed.last_transition_time


def suspended_since(job: Job) -> datetime | None:
    """When its wait began; None: the Job controller has not said so yet."""
    said = _suspended(job)
    return said.last_transition_time if said is not None and said.status == "True" else None


def _suspended(job: Job) -> JobCondition | None:
    """What the Job controller writes when it is suspended, and keeps as False when it is not."""
    return next((c for c in job.status.conditions if c.type == "Suspended"), None)


def spans_of(job: Job, pods: Sequence[Pod]) -> tuple[Span, ...]:
    """When each of its pods had a node; nothing where there is only ever one."""
    if not is_restartable(job):
        return ()
    begun = ((pod.status.start_time, _end(pod)) for pod in pods)
    return tuple(sorted(Span(start, end) for start, end in begun if start is not None))


def _end(pod: Pod) -> datetime | None:
    """One that ended without its container told when: no time is counted."""
    return (ended_at(pod) or pod.status.start_time) if is_over(pod) else None


class Said(Protocol):
    """An event."""

    reason: str
    message: str

    def time(self) -> datetime:
        """When it last happened."""


def workload_of(events: Sequence[Said]) -> str:
    """The Workload that Kueue made for the Job, by its own word; empty: none yet."""
    found = (_WORKLOAD.match(e.message) for e in _newest(events) if e.reason == "CreatedWorkload")
    return next((match[1] for match in found if match), "")


def said_by_queue(of_job: Sequence[Said], of_workload: Sequence[Said]) -> Obstacle | None:
    """The newest of what Kueue says of the wait."""
    telling = [event for event in of_job if event.reason in JOB_REASONS]
    newest = next(iter(_newest([*telling, *of_workload])), None)
    return hindrance(Reason.NOT_ADMITTED, words(newest.message)) if newest else None


def _newest(events: Sequence[Said]) -> list[Said]:
    return sorted(events, key=lambda event: event.time(), reverse=True)
