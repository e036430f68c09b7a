"""Jobs and pods on a cluster, as the children that the core decides about."""

from typing import Any

import msgspec
import pytest
from builders.jobs import UID
from builders.kube_jobs import (
    DISRUPTED,
    HASH,
    a_kube_job,
    a_pod,
    at,
    condition,
    ended,
    exited,
    job_document,
    labels,
    overdue,
    pod_document,
    waiting,
    when,
    word,
)

from controller.core.children import Child, ChildState
from controller.shell.children import children_of, lacks_word
from controller.shell.records import Job, Pod
from trainer.contract.failures import FailureClass
from trainer.contract.progress import Progress
from trainer.contract.request import Stage

TARGET = condition("FailureTarget", reason="PodFailurePolicy")
FAILED = condition("Failed", reason="PodFailurePolicy")
DECIDED = condition("SuccessCriteriaMet", reason="CompletionsReached")
COMPLETE = condition("Complete", reason="CompletionsReached")
GONE = condition("Failed", reason="PodFailurePolicy", message=exited(23))


def child_of(job: Job, *pods: Pod) -> Child:
    (child,) = children_of(UID, [job], pods, {})
    return child


def test_a_child_is_read_off_its_labels() -> None:
    child = child_of(a_kube_job())
    assert (child.name, child.run, child.stage) == ("intents-abcde-r1-train-1", 1, Stage.TRAIN)
    assert (child.attempt, child.spec_hash) == (1, HASH)
    assert child.log == "kubectl logs --namespace ml job/intents-abcde-r1-train-1"


STATES = [
    pytest.param(a_kube_job(), [], "Pending", id="no pod yet"),
    pytest.param(a_kube_job(active=1), [a_pod("Pending")], "Pending", id="its pod is pending"),
    pytest.param(a_kube_job(active=1), [a_pod()], "Running", id="its pod runs"),
    pytest.param(a_kube_job(active=1), [a_pod("Unknown")], "Pending", id="nobody knows of its pod"),
    pytest.param(
        a_kube_job(), [ended(0)], "Running", id="its pod ended, the Job does not know yet"
    ),
    pytest.param(a_kube_job(DECIDED), [ended(0)], "Finished", id="decided, its pod ended"),
    pytest.param(a_kube_job(TARGET), [ended(18)], "Finished", id="failing, its pod ended"),
    pytest.param(a_kube_job(TARGET), [], "Running", id="failing, its pod was not seen yet"),
    pytest.param(
        a_kube_job(TARGET, terminating=1), [ended(18)], "Running", id="another pod is terminating"
    ),
    pytest.param(
        a_kube_job(TARGET, uncountedTerminatedPods={"failed": ["pod-9"]}),
        [ended(18)],
        "Running",
        id="it counts a pod that was not seen yet",
    ),
    pytest.param(
        a_kube_job(TARGET, uncountedTerminatedPods={"failed": ["pod-1"]}),
        [ended(18)],
        "Finished",
        id="it counts the pod that was seen",
    ),
    pytest.param(
        a_kube_job(TARGET), [ended(18), a_pod(uid="pod-2")], "Running", id="started twice, one runs"
    ),
    pytest.param(a_kube_job(COMPLETE), [], "Finished", id="complete, its pod is gone"),
    pytest.param(a_kube_job(GONE), [], "Finished", id="failed, its pod is gone"),
    pytest.param(a_kube_job(FAILED), [a_pod()], "Running", id="failed, and a pod is seen alive"),
    pytest.param(a_kube_job(deleted=40), [a_pod()], "Stopping", id="deleted, its pod runs"),
    pytest.param(a_kube_job(deleted=40), [], "Stopping", id="deleted, no pod seen"),
    pytest.param(a_kube_job(deleted=40), [ended(23)], "Finished", id="deleted, its pod ended"),
    pytest.param(a_kube_job(COMPLETE, deleted=90), [], "Finished", id="deleted after its end"),
]


@pytest.mark.parametrize(("job", "pods", "state"), STATES)
def test_where_a_child_stands(job: Job, pods: list[Pod], state: str) -> None:
    assert child_of(job, *pods).state == ChildState(state)


@pytest.mark.parametrize(
    ("job", "has_ended"),
    [
        pytest.param(a_kube_job(COMPLETE), True, id="complete"),
        pytest.param(a_kube_job(FAILED), True, id="failed"),
        pytest.param(a_kube_job(TARGET), False, id="failing: it still waits for pods"),
        pytest.param(a_kube_job(), False, id="at work"),
    ],
)
def test_a_job_says_that_it_has_ended_whatever_its_pods_look_like(
    job: Job, has_ended: bool
) -> None:
    assert child_of(job, a_pod()).has_ended == has_ended


def test_a_stage_that_did_its_work_says_so() -> None:
    child = child_of(a_kube_job(DECIDED), ended(0, message=word(), reason="Completed"))
    assert child.failure(UID) is None
    assert child.outcome is not None
    assert child.details is not None
    assert (child.started, child.finished) == (when(2), when(50))
    assert not lacks_word(child)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("", id="nothing"),
        pytest.param("Killed", id="text"),
        pytest.param(word()[:40], id="cut"),
        pytest.param(word(sudo=True), id="an unknown key"),
        pytest.param("\ud83d" + word(), id="half a character"),
        pytest.param('{"stage":' * 500, id="deep"),
        pytest.param(word(message="x" * 5000), id="too long"),
        pytest.param(word(uid="another"), id="of another object"),
        pytest.param(word(attempt=2), id="of another attempt"),
    ],
)
def test_a_word_that_makes_no_sense_is_no_success(message: str) -> None:
    child = child_of(a_kube_job(DECIDED), ended(0, message=message))
    assert child.failure(UID) == (
        FailureClass.UNEXPECTED,
        "ended without its outcome with exit code 0",
    )


FAILURES = [
    pytest.param(
        [TARGET], [ended(11, message=word(failure="InvalidData", message="line 4"))],
        "InvalidData", "line 4", id="the stage knows best",
    ),
    pytest.param([TARGET], [ended(18)], "Unavailable", "exit code 18", id="by its exit code"),
    pytest.param(
        [GONE], [], "Interrupted", "exit code 23", id="by the Job's condition when the pod is gone"
    ),
    pytest.param(
        [condition("FailureTarget", message=exited(18))], [ended(18)],
        "Unavailable", "exit code 18", id="the interim condition is as good",
    ),
    pytest.param(
        [condition("Failed", message=DISRUPTED)], [],
        "Interrupted", "disrupted by the cluster", id="a disruption whose pod is gone",
    ),
    pytest.param(
        [condition("Failed", message=exited(137))], [],
        "Interrupted", "killed from outside", id="137 and nobody says that it was for memory",
    ),
    pytest.param(
        [TARGET], [ended(137, reason="OOMKilled")], "HostOutOfMemory", "memory", id="OOMKilled"
    ),
    pytest.param(
        [TARGET], [ended(1, reason="OOMKilled")], "HostOutOfMemory", "memory",
        id="OOMKilled in a process below the stage",
    ),
    pytest.param(
        [TARGET], [ended(137)], "Interrupted", "killed from outside", id="killed, not for memory"
    ),
    pytest.param(
        [TARGET], [ended(137, message=word(failure="HostOutOfMemory", message="needs 8 GiB"))],
        "HostOutOfMemory", "needs 8 GiB", id="it refused to start without the memory it needs",
    ),
    pytest.param(
        [TARGET],
        [ended(1, conditions=[{"type": "DisruptionTarget", "status": "True",
                               "reason": "PreemptionByScheduler"}])],
        "Preempted", "preempted", id="preempted whatever the exit code",
    ),
    pytest.param(
        [TARGET],
        [ended(137, conditions=[{"type": "DisruptionTarget", "status": "True",
                                 "reason": "TerminationByKubelet",
                                 "message": "The node was low on resource: memory."}])],
        "Evicted", "evicted by its node (The node was low on resource: memory)",
        id="evicted by the kubelet",
    ),
    pytest.param(
        [TARGET],
        [ended(0, conditions=[{"type": "DisruptionTarget", "status": "False"}])],
        "Unexpected", "exit code 0", id="a disruption that is not true",
    ),
    pytest.param(
        [condition("Failed", reason="BackoffLimitExceeded")],
        [a_pod("Failed", reason="Evicted",
               message="Pod ephemeral local storage usage exceeds the total limit of 1Gi.")],
        "HostStorageExceeded", "exceeds the total limit", id="its own storage limit",
    ),
    pytest.param(
        [condition("Failed", reason="BackoffLimitExceeded", message="Job has reached it")], [],
        "Unexpected", "without an exit code", id="a Job that tells nothing",
    ),
    pytest.param(
        [TARGET], [overdue("")],
        "DeadlineExceeded", "ended at its backstop", id="the pod's deadline, without a word",
    ),
    pytest.param(
        [TARGET],
        [overdue(word(failure="Interrupted", message="told to stop"))],
        "DeadlineExceeded", "told to stop", id="the pod's deadline, and what it said to SIGTERM",
    ),
    pytest.param(
        [condition("Failed", reason="DeadlineExceeded", message="Job was active too long")], [],
        "DeadlineExceeded", "active too long", id="the Job's own deadline",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("conditions", "pods", "failure", "words"), FAILURES)
def test_why_a_child_ended(
    conditions: list[dict[str, Any]], pods: list[Pod], failure: str, words: str
) -> None:
    told = child_of(a_kube_job(*conditions), *pods).failure(UID)
    assert told is not None
    assert told[0] == failure
    assert words in told[1]


def test_an_end_that_nobody_saw_is_known_to_be_one() -> None:
    assert lacks_word(child_of(a_kube_job(COMPLETE)))
    assert lacks_word(child_of(a_kube_job(GONE)))
    assert not lacks_word(child_of(a_kube_job()))


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_pods_the_newest_with_a_word_speaks(order: int) -> None:
    pods = [
        ended(18, message=word(failure="Unavailable"), uid="pod-1", seconds=30),
        ended(0, message=word(), uid="pod-2", seconds=40),
        ended(1, uid="pod-3", seconds=50),
    ]
    child = child_of(a_kube_job(COMPLETE), *pods[::order])
    assert child.failure(UID) is None
    assert child.finished == when(50)


def test_a_job_that_was_deleted_while_it_ran_was_stopped() -> None:
    stopped = child_of(a_kube_job(deleted=40), ended(23, message=word(failure="Interrupted")))
    assert stopped.is_stopped
    assert child_of(a_kube_job(FAILED, deleted=40), ended(23)).is_stopped
    assert not child_of(a_kube_job(FAILED, deleted=90), ended(23)).is_stopped


WAITS = [
    pytest.param("ErrImagePull", "not found", "ImagePull", id="no such image"),
    pytest.param("ImagePullBackOff", "Back-off", "ImagePull", id="backing off"),
    pytest.param("InvalidImageName", "couldn't parse", "ImagePull", id="no name of an image"),
    pytest.param("ErrImageNeverPull", "not present", "ImagePull", id="never pulled, not there"),
    pytest.param(
        "CreateContainerConfigError",
        "container has runAsNonRoot and image will run as root",
        "ContainerConfig",
        id="an image that runs as root",
    ),
    pytest.param("CreateContainerError", "no such file", "ContainerConfig", id="no such command"),
]


@pytest.mark.parametrize(("reason", "message", "told"), WAITS)
def test_a_container_that_cannot_start_says_why_and_what_to_do(
    reason: str, message: str, told: str
) -> None:
    wait = child_of(a_kube_job(active=1), waiting(reason, message)).wait
    assert wait is not None
    assert wait.reason == told
    assert message in wait.message
    assert "; check the " in wait.message


def test_a_pod_that_no_node_takes_says_why() -> None:
    unschedulable = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
    }
    wait = child_of(a_kube_job(active=1), a_pod("Pending", conditions=[unschedulable])).wait
    assert wait is not None
    assert wait.reason == "Unschedulable"
    assert "3 Insufficient nvidia.com/gpu; check spec.compute" in wait.message


def test_the_kubelets_words_are_one_short_line_and_do_not_alternate() -> None:
    first = waiting("ErrImagePull", "failed to pull x:\n not found" + "!" * 999)
    back_off = 'Back-off pulling image "x": ErrImagePull: failed to pull x:\n not found' + "!" * 999
    told = [
        child_of(a_kube_job(), pod).wait for pod in (first, waiting("ImagePullBackOff", back_off))
    ]
    assert told[0] is not None
    assert told[0] == told[1]
    assert "\n" not in told[0].message
    assert len(told[0].message) < 500


def test_a_pod_that_is_being_made_waits_for_nothing() -> None:
    assert child_of(a_kube_job(), waiting("ContainerCreating")).wait is None
    assert child_of(a_kube_job(), waiting("PodInitializing")).wait is None


def test_progress_is_that_of_the_pod_that_runs() -> None:
    progress = Progress(uid=UID, run=1, stage=Stage.TRAIN, attempt=1, percent=7)
    told = {"pod-1": progress, "pod-9": progress.model_copy(update={"percent": 99})}
    (child,) = children_of(UID, [a_kube_job(active=1)], [a_pod()], told)
    assert child.progress == progress
    (over,) = children_of(UID, [a_kube_job(DECIDED)], [ended(0)], told)
    assert over.progress is None


def foreign_job(**metadata: Any) -> Job:
    document = job_document()
    document["metadata"] |= metadata
    return msgspec.convert(document, Job)


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({"ownerReferences": []}, id="without an owner"),
        pytest.param(
            {"ownerReferences": [{"uid": "other", "controller": True}]}, id="of another owner"
        ),
        pytest.param({"ownerReferences": [{"uid": UID}]}, id="owned and not controlled"),
        pytest.param({"labels": {}}, id="without labels"),
        pytest.param({"labels": labels() | {"tunekeeper.dev/uid": "other"}}, id="another uid"),
        pytest.param({"labels": labels("dance")}, id="a stage that is none"),
        pytest.param({"labels": labels() | {"tunekeeper.dev/run": "0"}}, id="run 0"),
        pytest.param({"labels": labels() | {"tunekeeper.dev/run": "\u0661"}}, id="arabic digits"),
        pytest.param({"labels": labels() | {"tunekeeper.dev/attempt": "9" * 60}}, id="huge number"),
    ],
)
def test_a_job_that_is_not_ours_is_no_child(metadata: dict[str, Any]) -> None:
    assert children_of(UID, [foreign_job(**metadata)], [], {}) == ()


def orphan(phase: str = "Running", **metadata: Any) -> Pod:
    document = pod_document(phase)
    document["metadata"] |= metadata
    return msgspec.convert(document, Pod)


def test_a_pod_that_outlived_its_job_is_waited_for_and_has_no_say() -> None:
    for pod in (orphan(deletionTimestamp=at(40)), orphan(ownerReferences=[])):
        (child,) = children_of(UID, [], [pod], {})
        assert (child.state, child.is_stopped) == (ChildState.STOPPING, True)
        assert (child.name, child.attempt) == ("intents-abcde-r1-train-1", 1)
    assert children_of(UID, [], [ended(0, message=word())], {}) == ()


def test_a_pod_whose_job_was_not_seen_yet_simply_runs() -> None:
    (child,) = children_of(UID, [], [orphan()], {})
    assert (child.state, child.is_stopped) == (ChildState.RUNNING, False)


def test_children_come_oldest_first() -> None:
    younger = foreign_job(
        creationTimestamp=at(9), uid="job-2", name="younger", labels=labels(attempt=2)
    )
    children = children_of(UID, [younger, a_kube_job()], [], {})
    assert [child.attempt for child in children] == [1, 2]
