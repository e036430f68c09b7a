"""Nodes that are lost, and Jobs that somebody deletes: never two at once, and no result is lost."""

import pytest
from builders.operated import Desk, operated
from cluster.api import Json
from cluster.plane import ControlPlane
from cluster.process import wait_until

CUT_OFF_S = 60.0
"""The grace of a second, and the time by which a node that works has answered."""
COLLECTED_S = 120.0
"""The garbage collector of pods waits 40 s before it believes that a node is gone."""


def training(desk: Desk) -> Json:
    """The Job of the train stage, whose pod runs."""
    desk.apply()
    desk.kubelet.pod("prepare").running().succeeded()
    desk.kubelet.pod("train").running()
    desk.until_phase("Running", "Training")
    return next(job for job in desk.jobs() if job["metadata"]["name"].endswith("train-1"))


def deleted(desk: Desk, job: Json, propagation: str) -> None:
    """``kubectl delete job --cascade=...``."""
    path = f"{desk.jobs_path}/{job['metadata']['name']}"
    desk.plane.api.delete(path, {"propagationPolicy": propagation})
    wait_until(lambda: desk.plane.api.find(path) is None, "the Job is gone")


def test_a_pod_on_a_lost_node_is_waited_for_until_the_node_is_deleted(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        training(desk)
        (pod,) = desk.kubelet.pods("train")
        desk.kubelet.holds_deleted = True
        path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}"
        plane.api.delete(path, {"gracePeriodSeconds": 1})

        def is_lost(status: Json) -> bool:
            reasons = {one["reason"] for one in status["conditions"]}
            return status["phase"] == "Pending" and "NodeLost" in reasons

        desk.until(is_lost, "it is NodeLost", timeout_s=CUT_OFF_S)
        assert "delete the Node object" in desk.condition("Finished")["message"]
        assert len(desk.kubelet.pods("train")) == 1
        plane.api.delete(f"/api/v1/nodes/{desk.kubelet.node}")
        desk.kubelet.node = f"{namespace[:50]}-other"
        desk.kubelet.__enter__()
        desk.kubelet.pod("collect", timeout_s=COLLECTED_S).running().succeeded()  # no word there
        desk.kubelet.pod("train", attempt=2).running()
        (event,) = [e for e in desk.events("NodeLost") if "told to end" in e["note"]]
        assert event["type"] == "Warning"
        assert [e["note"] for e in desk.events("NodeLost") if "its node is gone" in e["note"]]


@pytest.mark.parametrize("propagation", ["Background", "Orphan"])
def test_a_job_that_is_deleted_by_hand_is_followed_by_an_attempt_after_its_pod(
    plane: ControlPlane, namespace: str, propagation: str
) -> None:
    with operated(plane, namespace) as desk:
        job = training(desk)
        desk.kubelet.holds_deleted = True
        pod = desk.kubelet.pod("train")
        deleted(desk, job, propagation)
        desk.until_phase("Pending", "Stopping")
        assert len(desk.kubelet.pods("train")) == 1
        if propagation == "Background":
            desk.kubelet.let_go()
            desk.kubelet.pod("train", attempt=2).running().succeeded()
            assert desk.events("JobLost")
        else:
            pod.succeeded()  # an orphan is let finish, and what it says counts
        desk.kubelet.pod("judge").running().succeeded()
        desk.until_phase("Succeeded", "Promote")
        attempts = 2 if propagation == "Background" else 1
        assert desk.status()["run"]["attempts"]["train"] == attempts
