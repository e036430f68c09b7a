"""What a stage said last counts, also when its pod is gone before anybody looked."""

import os
import signal

from builders.operated import Desk, operated
from cluster.plane import ControlPlane
from cluster.pod import Last, Pod
from cluster.process import wait_until

from trainer.contract.failures import EXIT_CODES, FailureClass


def taken_away(desk: Desk, pod: Pod, step: int) -> None:
    """Deleted; it checkpoints, says so and is gone, all while the operator cannot look."""
    os.kill(desk.process.pid, signal.SIGSTOP)
    try:
        desk.kubelet.holds_deleted = True
        pod.deleted()
        said = pod.word(
            failure=FailureClass.INTERRUPTED, message="told to stop", checkpoint_step=step
        )
        pod.ended(Last(EXIT_CODES[FailureClass.INTERRUPTED], said))
        desk.plane.api.delete(pod.path, {"gracePeriodSeconds": 0})
        pod.gone()
        desk.kubelet.let_go()
        wait_until(lambda: has_failed(desk, pod), "the Job has failed")
    finally:
        os.kill(desk.process.pid, signal.SIGCONT)


def has_failed(desk: Desk, pod: Pod) -> bool:
    job = desk.plane.api.get(f"{desk.jobs_path}/{pod.labels['batch.kubernetes.io/job-name']}")
    conditions = job["status"].get("conditions", [])
    return any((one["type"], one["status"]) == ("Failed", "True") for one in conditions)


def test_a_pod_that_is_deleted_is_a_free_interruption_when_its_checkpoint_moved(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        desk.apply(retry={"maxAttempts": 1})  # one that counted would be the end
        desk.kubelet.pod("prepare").running().succeeded()
        for attempt, step in ((1, 7), (2, 9)):
            pod = desk.kubelet.pod("train", attempt=attempt).running()
            desk.until(lambda s, n=attempt: s["run"]["attempt"] == n, "it is recorded")
            taken_away(desk, pod, step)
            status = desk.until(lambda s, n=attempt: s["run"]["attempt"] == n + 1, "the next one")
            assert status["run"]["checkpointStep"] == step
            assert status["run"].get("failures", 0) == 0
        desk.kubelet.pod("train", attempt=3).running().succeeded()
        desk.kubelet.pod("judge").running().succeeded()
        desk.until_phase("Succeeded", "Promote")
