"""Jobs in a queue of Kueue: how they are made, how they are read, and what events say of them."""

import asyncio
import json
from datetime import timedelta
from typing import Any, cast

import msgspec
import pytest
from builders.jobs import START, UID
from builders.kube_jobs import (
    a_kube_job,
    a_pod,
    condition,
    ended,
    exited,
    job_document,
    pod_document,
    when,
    word,
)

from controller.api.reasons import Reason
from controller.core.children import Child, ChildState, Span
from controller.kube.client import Client
from controller.kube.resources import Resource
from controller.shell.children import children_of
from controller.shell.kinds import QUEUE_LABEL
from controller.shell.queue import said_by_queue, workload_of
from controller.shell.queuetemplate import queued
from controller.shell.records import Job, Pod
from controller.shell.waits import Awaited, ReadEvent, Waits
from trainer.contract.failures import EXIT_CODES, FailureClass

INTERRUPTED = EXIT_CODES[FailureClass.INTERRUPTED]
SUSPENDED = condition("Suspended", seconds=50)
RESUMED = condition("Suspended", status="False", seconds=100)
TARGET = condition("FailureTarget", reason="PodFailurePolicy", message=exited(137))


def a_queued_job(*conditions: dict[str, Any], suspend: bool = True, **status: Any) -> Job:
    document = job_document(*conditions, **status)
    document["metadata"]["labels"][QUEUE_LABEL] = "gpus"
    return msgspec.convert({**document, "spec": {"suspend": suspend}}, Job)


def a_later_pod(phase: str = "Running", *, created: float = 120, **status: Any) -> Pod:
    """The one after the Job was admitted again."""
    document = pod_document(phase, uid="pod-2", **status)
    document["metadata"]["creationTimestamp"] = when(created).isoformat()
    document["status"]["startTime"] = when(created + 1).isoformat()
    return msgspec.convert(document, Pod)


def taken_away() -> Pod:
    """It said that it was interrupted."""
    said = word(failure="Interrupted", message="told to stop", checkpointStep=7)
    return ended(INTERRUPTED, message=said, seconds=50)


def child_of(job: Job, *pods: Pod) -> Child:
    (child,) = children_of(UID, [job], pods, {})
    return child


# How they are made


def made() -> dict[str, Any]:
    rules = [{"action": "FailJob", "onPodConditions": []}]
    for code in (13, INTERRUPTED):
        codes = {"containerName": "stage", "operator": "In", "values": [code]}
        rules.append({"action": "FailJob", "onExitCodes": codes})
    spec = {"backoffLimit": 0, "podFailurePolicy": {"rules": rules}, "template": {"metadata": {}}}
    return queued({"metadata": {"name": "a", "labels": {"x": "y"}}, "spec": spec}, "gpus")


def test_a_job_for_a_queue_is_created_suspended_with_its_name() -> None:
    assert made()["spec"]["suspend"] is True
    assert made()["metadata"]["labels"] == {"x": "y", QUEUE_LABEL: "gpus"}
    assert made()["spec"]["template"] == {"metadata": {}}  # Kueue manages pods with that label too


def test_only_the_exit_code_of_sigterm_does_not_fail_it() -> None:
    actions = [rule["action"] for rule in made()["spec"]["podFailurePolicy"]["rules"]]
    assert actions == ["FailJob", "FailJob", "Ignore"]
    assert made()["spec"]["backoffLimit"] == 0


# How they are read

STATES = [
    pytest.param(a_queued_job(SUSPENDED), [], "Pending", True, id="waits"),
    pytest.param(a_queued_job(), [], "Pending", True, id="just created"),
    pytest.param(a_queued_job(SUSPENDED), [a_pod()], "Pending", True, id="its pod still ends"),
    pytest.param(a_queued_job(SUSPENDED), [taken_away()], "Pending", True, id="was preempted"),
    pytest.param(a_queued_job(RESUMED, suspend=False), [], "Pending", False, id="admitted"),
    pytest.param(
        a_queued_job(RESUMED, suspend=False), [taken_away()], "Pending", False, id="admitted again"
    ),
    pytest.param(
        a_queued_job(RESUMED, suspend=False),
        [taken_away(), a_later_pod()],
        "Running",
        False,
        id="its second pod runs",
    ),
    pytest.param(
        a_queued_job(RESUMED, suspend=False),
        [taken_away(), a_later_pod("Succeeded")],
        "Running",
        False,
        id="its second pod ended, the Job does not know yet",
    ),
    pytest.param(
        a_queued_job(SUSPENDED, TARGET), [ended(137)], "Finished", False, id="failed meanwhile"
    ),
    pytest.param(
        a_queued_job(SUSPENDED, TARGET), [a_pod()], "Running", False, id="fails meanwhile"
    ),
    pytest.param(
        a_queued_job(SUSPENDED, deleted=60), [], "Stopping", False, id="deleted while it waits"
    ),
    pytest.param(
        a_queued_job(SUSPENDED, deleted=60),
        [taken_away()],
        "Finished",
        False,
        id="deleted after a preemption",
    ),
]


@pytest.mark.parametrize(("job", "pods", "state", "is_suspended"), STATES)
def test_where_a_job_in_a_queue_stands(
    job: Job, pods: list[Pod], state: str, *, is_suspended: bool
) -> None:
    child = child_of(job, *pods)
    assert (child.state, child.is_suspended) == (ChildState(state), is_suspended)
    assert child.queue == "gpus"


def test_a_job_that_is_suspended_by_hand_has_no_queue() -> None:
    document = {**job_document(), "spec": {"suspend": True}}
    child = child_of(msgspec.convert(document, Job))
    assert (child.is_suspended, child.queue) == (True, "")


def test_the_wait_of_an_ending_pod_is_not_the_childs() -> None:
    refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    assert child_of(a_queued_job(SUSPENDED), a_pod("Pending", conditions=[refused])).wait is None


def test_the_newest_pod_speaks_although_an_earlier_one_left_a_word() -> None:
    job = a_queued_job(RESUMED, condition("Failed", message=exited(137)), suspend=False)
    end = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": when(150).isoformat()}
    statuses = [{"name": "stage", "state": {"terminated": end}}]
    child = child_of(job, taken_away(), a_later_pod("Failed", containerStatuses=statuses))
    failure = child.failure(UID)
    assert failure is not None
    assert failure[0] is FailureClass.HOST_OUT_OF_MEMORY


def test_an_end_while_it_was_suspended_is_nobodys_failure() -> None:
    child = child_of(a_queued_job(SUSPENDED, TARGET), ended(137))
    assert child.is_stopped
    failure = child.failure(UID)
    assert failure is not None
    assert failure[0] is Reason.INTERRUPTED
    assert "suspended" in failure[1]


def test_success_in_the_moment_of_a_preemption_is_success() -> None:
    said = word(adapterDigest=f"sha256:{'a' * 64}")
    child = child_of(a_queued_job(SUSPENDED, condition("Complete")), ended(0, message=said))
    assert child.failure(UID) is None


def test_the_times_of_its_pods_are_told_apart() -> None:
    job = a_queued_job(RESUMED, suspend=False)
    child = child_of(job, a_later_pod(), taken_away())
    assert child.spans == (Span(when(2), when(50)), Span(when(121), None))
    assert [span.end for span in child.spans] == [when(50), None]


def test_a_job_that_was_never_suspended_has_one_pod_and_one_time() -> None:
    assert child_of(a_kube_job(active=1), a_pod()).spans == ()


# What events say


def an_event(reason: str, message: str = "", *, age_s: float = 0) -> ReadEvent:
    return ReadEvent(reason, message, event_time=START - timedelta(seconds=age_s))


CREATED = an_event("CreatedWorkload", "Created Workload: ml/job-intents-r1-train-1-3f2a1", age_s=90)
OURS = [
    pytest.param([], "", id="nothing yet"),
    pytest.param([CREATED], "job-intents-r1-train-1-3f2a1", id="its name"),
    pytest.param([an_event("CreatedWorkload", "Created Workload: ml/a,b=c")], "", id="no name"),
    pytest.param([an_event("Stopped", "Created Workload: ml/a")], "", id="another event"),
]


@pytest.mark.parametrize(("events", "name"), OURS)
def test_kueue_names_the_workload_that_it_made(events: list[ReadEvent], name: str) -> None:
    assert workload_of(events) == name


STOPPED = an_event("Stopped", "Preempted to accommodate another", age_s=20)
PENDING = an_event("Pending", "couldn't assign flavors", age_s=10)
SAID = [
    pytest.param([CREATED], [], None, id="nothing of the wait"),
    pytest.param([CREATED, STOPPED], [], STOPPED.message, id="why it was stopped"),
    pytest.param([CREATED, STOPPED], [PENDING], PENDING.message, id="the newest of both"),
    pytest.param([an_event("Suspended", "Job suspended")], [], None, id="the Job controller's"),
    pytest.param([an_event("FailedCreate", "quota")], [], None, id="of a pod before"),
]


@pytest.mark.parametrize(("of_job", "of_workload", "expected"), SAID)
def test_the_newest_word_of_kueue_about_the_wait_counts(
    of_job: list[ReadEvent], of_workload: list[ReadEvent], expected: str | None
) -> None:
    found = said_by_queue(of_job, of_workload)
    assert (found.said if found else None) == expected


def test_an_event_of_kueue_is_read_as_the_api_server_gives_it() -> None:
    text = {"reason": "Pending", "message": "m", "eventTime": "2026-03-01T12:00:00.000001Z"}
    assert msgspec.json.decode(json.dumps(text), type=ReadEvent).time() > START


# When they are read


class Pages:
    """An API server that has two events, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def list(self, _resource: Resource, _namespace: str, *, field_selector: str) -> bytes:
        """Of the Job, or of the Workload that it names."""
        self.asked.append(field_selector)
        is_job = field_selector.startswith("involvedObject.uid=")
        found = CREATED if is_job else PENDING
        return msgspec.json.encode({"items": [{"reason": found.reason, "message": found.message}]})


def looked_at(job: Job) -> tuple[Pages, Waits, Awaited]:
    pages = Pages()
    waits = Waits(cast("Client", pages), grace_s=20, period_s=30)
    awaited = Awaited(child_of(job), job.metadata.uid, START)
    asyncio.run(waits.look("ml", awaited, START))
    return pages, waits, awaited


def test_what_kueue_says_of_the_workload_is_shown_of_the_job() -> None:
    pages, waits, awaited = looked_at(a_queued_job(SUSPENDED))
    about = "involvedObject.kind=Workload,involvedObject.name=job-intents-r1-train-1-3f2a1"
    assert pages.asked == [f"involvedObject.uid={awaited.subject}", about]
    found = waits.known(awaited.subject)
    assert found is not None
    assert found.said == PENDING.message


@pytest.mark.parametrize(
    ("job", "seconds"),
    [
        pytest.param(a_queued_job(SUSPENDED), 600, id="in a queue, which may take days"),
        pytest.param(a_kube_job(), 30, id="a pod that does not start"),
    ],
)
def test_a_queue_is_asked_less_often_than_a_pod(job: Job, seconds: float) -> None:
    _, waits, awaited = looked_at(job)
    assert waits.next_look_s(awaited, START) == seconds
