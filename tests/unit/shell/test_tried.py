"""The events of a child are worth a look only when somebody may have written one."""

import pytest
from builders.kube_jobs import a_kube_job, a_pod

from controller.shell.looks import is_tried
from controller.shell.records import Job, Pod, PodCondition, PodSpec, PodStatus


def a_new_pod(node: str = "", *conditions: PodCondition) -> Pod:
    return Pod(
        a_pod("Pending").metadata,
        PodSpec(node),
        PodStatus(phase="Pending", conditions=list(conditions)),
    )


STARTED = a_kube_job(startTime="2026-01-01T00:00:00Z")
UNTOUCHED = Job(STARTED.metadata)
GATED = PodCondition("PodScheduled", "False", "SchedulingGated")


@pytest.mark.parametrize(
    ("job", "pod", "expected"),
    [
        pytest.param(UNTOUCHED, None, False, id="a Job that nobody has looked at, or suspended"),
        pytest.param(STARTED, None, True, id="a Job that the Job controller could make no pod for"),
        pytest.param(STARTED, a_new_pod(), False, id="a pod that no scheduler has looked at"),
        pytest.param(STARTED, a_new_pod("node-1"), True, id="a pod on a node"),
        pytest.param(STARTED, a_new_pod("", GATED), True, id="a pod that a scheduler refused"),
    ],
)
def test_a_child_is_looked_at_when_somebody_has_tried_to_start_it(
    job: Job, pod: Pod | None, expected: bool
) -> None:
    assert is_tried(job, pod) is expected
