"""Whatever a cluster shows, there is an answer, and it is a cautious one."""

from typing import Any

import msgspec
from builders.jobs import UID
from builders.kube_jobs import (
    DISRUPTED,
    JOB_UID,
    at,
    exited,
    job_document,
    labels,
    pod_document,
    word,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.shell.children import children_of
from controller.shell.records import Job, Pod

TEXTS = st.text(max_size=20)
TIMES = st.none() | st.integers(0, 200).map(at)
TRUTHS = st.sampled_from(["True", "False", "Unknown", ""]) | TEXTS
MESSAGES = st.sampled_from([exited(23), exited(137), DISRUPTED, word(), "{}", ""]) | TEXTS


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with any of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


def conditions(*types: str, reasons: tuple[str, ...]) -> st.SearchStrategy[list[dict[str, Any]]]:
    condition = some(
        type=st.sampled_from(types) | TEXTS,
        status=TRUTHS,
        reason=st.sampled_from(reasons) | TEXTS,
        message=MESSAGES,
        lastTransitionTime=TIMES,
    )
    return st.lists(condition, max_size=3)


UIDS = st.lists(st.sampled_from(["pod-1", "pod-2"]) | TEXTS, max_size=2)
JOB_STATUSES = some(
    conditions=conditions(
        "Failed", "FailureTarget", "Complete", "SuccessCriteriaMet",
        reasons=("PodFailurePolicy", "DeadlineExceeded"),
    ),
    active=st.integers(-1, 2),
    terminating=st.none() | st.integers(0, 1),
    uncountedTerminatedPods=st.none() | some(succeeded=UIDS, failed=UIDS),
)  # fmt: skip
TERMINATED = some(
    exitCode=st.integers(-1, 256),
    reason=st.sampled_from(["OOMKilled", "Error"]) | TEXTS,
    message=MESSAGES,
    startedAt=TIMES,
    finishedAt=TIMES,
)
WAITING = some(reason=st.sampled_from(["ErrImagePull", "CreateContainerError"]), message=MESSAGES)
STATE = some(terminated=st.none() | TERMINATED, waiting=st.none() | WAITING)
POD_STATUSES = some(
    phase=st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"]) | TEXTS,
    reason=st.sampled_from(["Evicted"]) | TEXTS,
    message=MESSAGES,
    startTime=TIMES,
    conditions=conditions(
        "DisruptionTarget", "PodScheduled", reasons=("Unschedulable", "TerminationByKubelet")
    ),
    containerStatuses=st.lists(some(name=st.just("stage") | TEXTS, state=STATE), max_size=2),
)
OWNERS = st.lists(
    some(uid=st.sampled_from([UID, JOB_UID]) | TEXTS, controller=st.booleans()), max_size=2
)
LABELS = st.just(labels()) | st.dictionaries(
    st.sampled_from(list(labels())) | TEXTS, st.sampled_from(["1", "train", UID]) | TEXTS
)
METADATA = some(
    labels=LABELS, ownerReferences=OWNERS, deletionTimestamp=TIMES, creationTimestamp=TIMES
)


@st.composite
def documents(draw: st.DrawFn, usual: dict[str, Any], status: st.SearchStrategy[Any]) -> dict:
    """A usual object with another status, and now and then other metadata."""
    metadata = draw(METADATA) if draw(st.integers(0, 3)) == 0 else {}
    return {"metadata": usual["metadata"] | metadata, "status": draw(status)}


JOBS = documents(job_document(), JOB_STATUSES).map(lambda d: msgspec.convert(d, Job))
PODS = [
    documents(pod_document(uid=uid), POD_STATUSES).map(lambda d: msgspec.convert(d, Pod))
    for uid in ("pod-1", "pod-2")
]


@settings(max_examples=300, deadline=None, database=None)
@given(job=JOBS, pods=st.tuples(*PODS), count=st.integers(0, 2))
def test_no_job_and_no_pods_are_too_strange(job: Job, pods: tuple[Pod, Pod], count: int) -> None:
    seen = pods[:count]
    for child in children_of(UID, [job], seen, {}):
        child.failure(UID)
        own = [p for p in seen if any(o.uid == JOB_UID for o in p.metadata.owner_references)]
        over = {"Succeeded", "Failed"}
        if not child.is_unfinished and child.name == job.metadata.name:
            assert all(pod.status.phase in over for pod in own if is_controlled(pod))
        assert child.wait is None or len(child.wait.message) < 600


def is_controlled(pod: Pod) -> bool:
    owners = [owner for owner in pod.metadata.owner_references if owner.controller]
    return bool(owners) and owners[0].uid == JOB_UID
