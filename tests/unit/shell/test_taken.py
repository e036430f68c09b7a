"""Pods that are taken away, and Jobs that are: who did it, and what is left of the attempt."""

from typing import Any

import msgspec
import pytest
from builders.jobs import UID
from builders.kube_jobs import (
    a_kube_job,
    a_pod,
    at,
    condition,
    ended,
    pod_document,
    when,
    word,
)

from controller.core.children import Child, ChildState
from controller.shell.children import children_of, lacks_word
from controller.shell.records import Job, Pod

TARGET = condition("FailureTarget", reason="PodFailurePolicy")
DECIDED = condition("SuccessCriteriaMet", reason="CompletionsReached")


def child_of(job: Job, *pods: Pod) -> Child:
    (child,) = children_of(UID, [job], pods, {})
    return child


def taken(reason: str, **fields: Any) -> Pod:
    """A pod that ended under the condition DisruptionTarget."""
    disrupted = {"type": "DisruptionTarget", "status": "True", "reason": reason}
    return ended(143, conditions=[disrupted], **fields)


TAKEN_AWAY = [
    pytest.param(taken("PreemptionByScheduler"), "Preempted", id="by the scheduler"),
    pytest.param(taken("EvictionByEvictionAPI"), "Evicted", id="through the API"),
    pytest.param(taken("TerminationByKubelet"), "Evicted", id="by the kubelet"),
    pytest.param(taken("DeletionByTaintManager"), "Evicted", id="by a taint, and seen to end"),
    pytest.param(
        a_pod("Failed", conditions=[
            {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
        ]),
        "NodeLost", id="by a taint, and nobody saw it end",
    ),
    pytest.param(taken("DeletionByPodGC"), "NodeLost", id="its node is gone"),
    pytest.param(taken("SomethingNew"), "Interrupted", id="by something that is not known yet"),
    pytest.param(a_pod("Failed", reason="Evicted", message="low on memory"), "Evicted",
                 id="by its own reason"),
    pytest.param(a_pod("Failed", reason="NodeLost"), "NodeLost", id="lost by its own reason"),
    pytest.param(a_pod("Failed", reason="Preempting"), "Preempted", id="for a critical pod"),
    pytest.param(a_pod("Failed", reason="Terminated"), "Evicted", id="its node was shut down"),
]  # fmt: skip


@pytest.mark.parametrize(("pod", "failure"), TAKEN_AWAY)
def test_who_took_a_pod_away_is_told_apart(pod: Pod, failure: str) -> None:
    told = child_of(a_kube_job(TARGET), pod).failure(UID)
    assert told is not None
    assert told[0] == failure


def test_a_stage_that_was_preempted_says_its_own_words_as_well() -> None:
    word_said = word(failure="Interrupted", message="stopped at step 7", checkpointStep=7)
    told = child_of(a_kube_job(TARGET), taken("PreemptionByScheduler", message=word_said))
    assert told.failure(UID) == (
        "Preempted",
        "preempted by a pod of higher priority: stopped at step 7",
    )


def going(pod: dict[str, Any], seconds: float, **metadata: Any) -> Pod:
    """A pod that was told to go, and has to be gone by then."""
    more = {"deletionTimestamp": at(seconds), **metadata}
    return msgspec.convert({**pod, "metadata": {**pod["metadata"], **more}}, Pod)


@pytest.mark.parametrize("phase", ["Running", "Pending"])
def test_by_when_a_pod_has_to_be_gone_is_known(phase: str) -> None:
    child = child_of(a_kube_job(active=1), going(pod_document(phase), 120))
    assert child.ends_by == when(120)
    assert child_of(a_kube_job(active=1), a_pod()).ends_by is None
    over = ended(0, message=word())
    over.metadata.deletion_timestamp = when(120)
    assert child_of(a_kube_job(DECIDED), over).ends_by is None


def test_an_orphan_of_a_lost_job_keeps_it_unfinished_and_speaks_for_it() -> None:
    job = a_kube_job()
    alive = going(pod_document(), 120, ownerReferences=[])
    (child,) = children_of(UID, [], [alive], {}, [job])
    assert (child.state, child.ends_by) == (ChildState.STOPPING, when(120))
    said = ended(0, message=word())
    said.metadata.owner_references = []
    (child,) = children_of(UID, [], [said], {}, [job])
    assert (child.state, child.failure(UID)) == (ChildState.FINISHED, None)


def test_a_lost_job_without_a_word_is_job_lost_and_worth_a_live_look() -> None:
    (child,) = children_of(UID, [], [], {}, [a_kube_job()])
    told = child.failure(UID)
    assert told is not None
    assert told[0] == "JobLost"
    assert lacks_word(child)
