"""Jobs and pods on a cluster -> the children that the core decides about. Pure.

A child is finished when its Job starts no further pod and none of its pods is alive. The Job
controller writes FailureTarget or SuccessCriteriaMet, lets go of the pods (one that was deleted
is gone with its last word at that moment), and only then writes Failed or Complete: so the first
of these conditions counts, as soon as the pods that it is about are seen to have ended.

A finished child without an outcome may be one whose pods this side has not seen yet: look at
them live before you believe it (``lacks_word``).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Generic, TypeVar

from controller.api.reasons import Reason
from controller.core.children import AnyChild, Child, ChildState, Ending
from controller.core.watching.child import ErrandChild
from controller.kube.objects import KubeObject
from controller.shell import kinds
from controller.shell.pods import (
    BY_SOMEBODY,
    KILLED,
    disruption_of,
    ended_at,
    ending_of,
    is_over,
    killed,
    short,
    terminated,
    wait_of,
    word_of,
)
from controller.shell.queue import is_replaced, is_restartable, queue_of, spans_of
from controller.shell.records import Job, JobCondition, Pod, UncountedPods
from trainer.contract.failures import FailureClass
from trainer.contract.progress import Progress
from trainer.contract.request import Stage

LOST = Ending(Reason.JOB_LOST, "its Job was deleted by somebody else before its end was recorded")
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
MAX_NUMBER = 10**9
STAGES = frozenset(stage.value for stage in Stage)
POD_JOB_LABEL = "batch.kubernetes.io/job-name"

# As Kubernetes' Job controller writes them: pkg/controller/job/pod_failure_policy.go.
_EXITED = re.compile(r"^Container \S+ for pod \S+ failed with exit code (\d{1,3}) matching ")
_DISRUPTED = re.compile(r"^Pod \S+ has condition DisruptionTarget matching ")

SUSPENDED = Ending(Reason.INTERRUPTED, "its Job was suspended, by its queue or by a person")

Place = tuple[int, Stage, int]
"""Run, stage and attempt."""

PlaceT = TypeVar("PlaceT")
ChildT = TypeVar("ChildT", bound=AnyChild)


@dataclass(frozen=True)
class Sort(Generic[PlaceT, ChildT]):
    """What differs between the children of the two kinds."""

    place_of: Callable[[KubeObject, str], PlaceT | None]
    """Which attempt or errand of the object with that uid it is; None: none of it."""
    has_word: Callable[[Pod], bool]
    make: Callable[[KubeObject, PlaceT, AnyChild, Pod | None], ChildT]
    """The child, from the Job or pod that tells of it, what is known, and who speaks for it."""


def children_of(
    uid: str,
    jobs: Sequence[Job],
    pods: Sequence[Pod],
    progress: Mapping[str, Progress],
    lost: Sequence[Job] = (),
) -> tuple[Child, ...]:
    """Every attempt of the object with that uid, oldest first; progress is by pod uid.

    ``lost``: Jobs that are gone, and that a status may still wait for.
    """

    def make(told_by: KubeObject, place: Place, known: AnyChild, teller: Pod | None) -> Child:
        outcome, details = word_of(teller) if teller is not None else (None, None)
        run, stage, attempt = place
        alive = (pod for pod in pods if _controller(pod) == told_by.metadata.uid)
        newest = max((pod for pod in alive if not is_over(pod)), key=_age, default=None)
        heard = progress.get(newest.metadata.uid) if newest is not None else None
        return Child(
            **vars(replace(known, progress=heard)),
            run=run,
            stage=stage,
            attempt=attempt,
            spec_hash=told_by.metadata.labels.get(kinds.SPEC_HASH_LABEL, ""),
            outcome=outcome,
            details=details,
        )

    sort = Sort(place_of, lambda pod: word_of(pod)[0] is not None, make)
    return family_of(uid, jobs, pods, sort, lost)


def family_of(
    uid: str,
    jobs: Sequence[Job],
    pods: Sequence[Pod],
    sort: Sort[PlaceT, ChildT],
    lost: Sequence[Job] = (),
) -> tuple[ChildT, ...]:
    """Every child of the object with that uid, oldest first, of whatever sort."""
    by_job: dict[str, list[Pod]] = {}
    for pod in pods:
        by_job.setdefault(_controller(pod), []).append(pod)
    own = [job for job in jobs if _controller(job) == uid]
    found = [
        (place, _made(job, place, by_job.get(job.metadata.uid, []), sort))
        for job in sorted(own, key=_age)
        if (place := sort.place_of(job, uid)) is not None
    ]
    found += [
        (
            place,
            sort.make(job, place, _lost(job, left, sort.has_word), _teller(left, sort.has_word)),
        )
        for job in lost
        if (place := sort.place_of(job, uid)) is not None
        for left in [_left_of(job, place, pods, uid, sort)]
    ]
    known = {job.metadata.uid for job in own}
    orphans = [pod for pod in pods if _controller(pod) not in known and not is_over(pod)]
    taken = {place for place, _ in found}
    return (*(child for _, child in found), *_orphans(uid, orphans, taken, sort))


def _made(job: Job, place: PlaceT, pods: Sequence[Pod], sort: Sort[PlaceT, ChildT]) -> ChildT:
    teller = _teller(pods, (lambda _: False) if is_restartable(job) else sort.has_word)
    return sort.make(job, place, _known(job, pods, teller), teller)


def _left_of(
    job: Job, place: PlaceT, pods: Sequence[Pod], uid: str, sort: Sort[PlaceT, ChildT]
) -> list[Pod]:
    """The pods of a Job that is gone; orphaned ones name no owner any more."""
    owners = (job.metadata.uid, "")
    return [p for p in pods if _controller(p) in owners and sort.place_of(p, uid) == place]


def place_of(obj: KubeObject, uid: str) -> Place | None:
    """Which attempt of the object a Job or pod is, by its labels."""
    labels = obj.metadata.labels
    run, attempt = (number_in(labels.get(name)) for name in (kinds.RUN_LABEL, kinds.ATTEMPT_LABEL))
    stage = labels.get(kinds.STAGE_LABEL)
    if labels.get(kinds.UID_LABEL) != uid or stage not in STAGES or not run or not attempt:
        return None
    return run, Stage(stage), attempt


def may_start(job: Job) -> bool:
    """Whether a Job may yet start a pod."""
    return job.metadata.deletion_timestamp is None and not (_is_settled(job) or _is_decided(job))


def lacks_word(child: Child | ErrandChild) -> bool:
    """Whether it is said to be over and nobody has seen how."""
    is_told = child.outcome is not None or child.disruption not in (None, LOST)
    return not child.is_unfinished and not is_told


def number_in(text: str | None) -> int:
    """The number in a label; 0: there is none."""
    is_number = text is not None and text.isascii() and text.isdigit()
    number = int(text) if is_number and text is not None else 0
    return number if number <= MAX_NUMBER else 0


def _controller(obj: KubeObject) -> str:
    owners = obj.metadata.owner_references
    return next((owner.uid for owner in owners if owner.controller), "")


def _age(obj: KubeObject) -> tuple[datetime, str]:
    return obj.metadata.creation_timestamp or LONG_AGO, obj.metadata.name


def _known(job: Job, pods: Sequence[Pod], teller: Pod | None) -> AnyChild:
    """What a Job and its pods say, whatever their work is."""
    meta = job.metadata
    newest = max((pod for pod in pods if not is_over(pod)), key=_age, default=None)
    state = _state(job, pods)
    is_suspended = job.spec.suspend and state is ChildState.PENDING
    is_waiting = newest is not None and state is ChildState.PENDING and not is_suspended
    return AnyChild(
        name=meta.name,
        state=state,
        exit_code=_exit_code(job, teller),
        started=_started(pods),
        finished=_finished(job, pods) if state is ChildState.FINISHED else None,
        is_stopped=_is_stopped(job) or job.spec.suspend,
        has_ended=_is_settled(job),
        is_suspended=is_suspended,
        queue=queue_of(job),
        spans=spans_of(job, pods),
        disruption=_disruption(job, teller),
        ending=_ending(job, teller),
        wait=wait_of(newest) if newest is not None and is_waiting else None,
        log=f"kubectl logs --namespace {meta.namespace} job/{meta.name}",
        ends_by=_ends_by(pods),
    )


def _lost(job: Job, pods: Sequence[Pod], has_word: Callable[[Pod], bool]) -> AnyChild:
    """Of a Job that is gone, what its pods say; nothing starts while one of them is alive."""
    known = _known(job, pods, _teller(pods, has_word))
    is_over_now = all(is_over(pod) for pod in pods)
    return replace(
        known,
        state=ChildState.FINISHED if is_over_now else ChildState.STOPPING,
        finished=_finished(job, pods) if is_over_now else None,
        disruption=known.disruption or LOST,
    )


def _ends_by(pods: Iterable[Pod]) -> datetime | None:
    """When the last pod that was told to end has to be gone."""
    told = (pod.metadata.deletion_timestamp for pod in pods if not is_over(pod))
    return max((time for time in told if time is not None), default=None)


def _teller(pods: Iterable[Pod], has_word: Callable[[Pod], bool]) -> Pod | None:
    """The pod that speaks for the child: of those that ended, one with a word, then the newest.

    Where one pod follows another by design, the newest alone speaks.
    """
    over = [pod for pod in pods if is_over(pod)]
    if len(over) <= 1:
        return next(iter(over), None)
    return max(over, key=lambda pod: (has_word(pod), ended_at(pod) or LONG_AGO, _age(pod)))


def _state(job: Job, pods: Sequence[Pod]) -> ChildState:
    is_alive = any(not is_over(pod) for pod in pods)
    if not is_alive and (_is_settled(job) or (pods and _starts_no_more(job, pods))):
        return ChildState.FINISHED
    if job.metadata.deletion_timestamp is not None:
        return ChildState.STOPPING
    if job.spec.suspend and not _is_decided(job):
        return ChildState.PENDING  # what still runs of it has been told to end
    is_running = any(pod.status.phase == "Running" for pod in pods)
    ended = [pod for pod in pods if is_over(pod) and not is_replaced(job, pod)]
    has_run = _is_decided(job) or (ended and not is_alive)
    return ChildState.RUNNING if is_running or has_run else ChildState.PENDING


def _is_settled(job: Job) -> bool:
    return _true(job, "Failed") is not None or _true(job, "Complete") is not None


def _starts_no_more(job: Job, pods: Sequence[Pod]) -> bool:
    """Whether the Job is being deleted, or decided and every pod that it counts was seen."""
    if job.metadata.deletion_timestamp is not None:
        return True
    status = job.status
    uncounted = status.uncounted_terminated_pods or UncountedPods()
    unseen = {*uncounted.succeeded, *uncounted.failed} - {pod.metadata.uid for pod in pods}
    return _is_decided(job) and not (status.active or status.terminating or unseen)


def _is_decided(job: Job) -> bool:
    return bool(_true(job, "FailureTarget") or _true(job, "SuccessCriteriaMet"))


def _true(job: Job, kind: str) -> JobCondition | None:
    conditions = job.status.conditions
    return next((c for c in conditions if (c.type, c.status) == (kind, "True")), None)


def _failed(job: Job) -> JobCondition | None:
    return _true(job, "Failed") or _true(job, "FailureTarget")


def _is_stopped(job: Job) -> bool:
    """Told to end before it had ended; a finished Job that is cleaned up was not stopped."""
    deleted = job.metadata.deletion_timestamp
    end = _failed(job) or _true(job, "SuccessCriteriaMet") or _true(job, "Complete")
    if deleted is None or end is None or end.last_transition_time is None:
        return deleted is not None
    return end.last_transition_time >= deleted


def _exit_code(job: Job, teller: Pod | None) -> int | None:
    """The container's; when its pod is gone, the one that the Job's condition tells."""
    end = terminated(teller) if teller is not None else None
    if end is not None:
        return end.exit_code
    failed = _failed(job)
    told = _EXITED.match(failed.message) if failed is not None else None
    if told is not None:
        return int(told[1])
    return 0 if _true(job, "Complete") is not None else None


def _disruption(job: Job, teller: Pod | None) -> Ending | None:
    if job.spec.suspend:
        return SUSPENDED
    if teller is not None:
        return disruption_of(teller)
    failed = _failed(job)
    return BY_SOMEBODY if failed is not None and _DISRUPTED.match(failed.message) else None


def _ending(job: Job, teller: Pod | None) -> Ending | None:
    if teller is not None:
        return ending_of(teller) or _jobs_ending(job)
    return killed() if _exit_code(job, teller) == KILLED else _jobs_ending(job)


def _jobs_ending(job: Job) -> Ending | None:
    failed = _failed(job)
    if failed is not None and failed.reason == "DeadlineExceeded":
        return Ending(FailureClass.DEADLINE_EXCEEDED, short(failed.message))
    return None


def _started(pods: Iterable[Pod]) -> datetime | None:
    """When the first pod took its place on a node: from then on it holds its GPUs."""
    return min((p.status.start_time for p in pods if p.status.start_time), default=None)


def _finished(job: Job, pods: Iterable[Pod]) -> datetime | None:
    end = _true(job, "Complete") or _failed(job)
    ends = [time for pod in pods if (time := ended_at(pod)) is not None]
    return max(ends, default=end.last_transition_time if end is not None else None)


def _orphans(
    uid: str,
    alive: Iterable[Pod],
    taken: AbstractSet[PlaceT],
    sort: Sort[PlaceT, ChildT],
) -> list[ChildT]:
    """Pods that outlived their Job: nothing may start beside them, and they have no say."""
    found: dict[PlaceT, ChildT] = {}
    for pod in sorted(alive, key=_age):
        place = sort.place_of(pod, uid)
        if place is not None and place not in taken:
            found[place] = sort.make(pod, place, _orphan(pod), None)
    return list(found.values())


def _orphan(pod: Pod) -> AnyChild:
    # One that is not being deleted and has an owner: its Job has only not been seen yet.
    is_left = pod.metadata.deletion_timestamp is not None or not _controller(pod)
    return AnyChild(
        name=pod.metadata.labels.get(POD_JOB_LABEL) or pod.metadata.name,
        state=ChildState.STOPPING if is_left else ChildState.RUNNING,
        started=pod.status.start_time,
        is_stopped=is_left,
        ends_by=_ends_by([pod]),
        log=f"kubectl logs --namespace {pod.metadata.namespace} {pod.metadata.name}",
    )
