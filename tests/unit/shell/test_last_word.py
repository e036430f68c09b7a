"""What a reconcile finds out before it decides, and what it tells the metrics."""

import json
from typing import Any

import pytest
from builders.reconciled import Scene, once, raising

from controller.kube.errors import TransportError
from controller.kube.resources import JOBS, PODS
from controller.shell.kinds import FINETUNEJOBS

KEY = ("ml", "intents")


def failed(scene: Scene, **word: Any) -> None:
    """The stage's Job says that it failed; its pod is on the server alone."""
    (child,) = scene.api.all(JOBS)
    meta = child["metadata"]
    owner = {"kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
    told = {"stage": "prepare", "uid": "uid-1", "run": 1, "attempt": 1, **word}
    end = {"exitCode": 23, "message": json.dumps(told)}
    status = {
        "phase": "Failed",
        "containerStatuses": [{"name": "stage", "state": {"terminated": end}}],
    }
    pod = {"name": "p", "namespace": "ml", "labels": meta["labels"], "ownerReferences": [owner]}
    scene.api.put(PODS, {"metadata": pod, "status": status})
    condition = {"type": "Failed", "status": "True", "reason": "PodFailurePolicy"}
    scene.api.put(JOBS, {**child, "status": {"conditions": [condition]}})


def test_an_attempt_that_is_over_without_a_word_is_looked_at_live_once() -> None:
    scene = Scene()
    scene.given()
    scene.reconcile()
    failed(scene, failure="Interrupted", message="stopped", checkpointStep=7)
    scene.synced(PODS)
    scene.api.requests.clear()
    scene.reconcile()
    assert scene.status["run"]["checkpointStep"] == 7
    assert scene.status["run"].get("failures", 0) == 0  # a step further: free
    assert scene.api.requests[:2] == ["LIST pods", "PUT finetunejobs"]


def test_a_stage_that_said_nothing_is_looked_at_live_no_second_time() -> None:
    scene = Scene()
    scene.given()
    scene.reconcile()
    failed(scene)
    del scene.api.objects["pods", "ml", "p"]
    scene.synced()
    scene.api.requests.clear()
    scene.api.before = once("PUT finetunejobs", raising(TransportError("no answer")))
    with pytest.raises(TransportError):
        scene.reconcile()
    scene.reconcile()
    assert scene.reason() == "Unexpected"
    assert scene.api.requests.count("LIST pods") == 1


def test_nothing_is_decided_while_the_pods_cannot_be_read() -> None:
    scene = Scene()
    scene.given()
    scene.reconcile()
    failed(scene, failure="Interrupted", message="stopped", checkpointStep=7)
    scene.synced(PODS)
    scene.api.before = once("LIST pods", raising(TransportError("no answer")))
    with pytest.raises(TransportError):
        scene.reconcile()
    assert scene.status["run"]["attempt"] == 1


def phases(scene: Scene) -> str:
    text = scene.metrics.render().decode()
    counts = [line.split("phase=")[1] for line in text.splitlines() if "tunekeeper_jobs{" in line]
    return ", ".join(count for count in counts if not count.endswith(" 0.0"))


def test_a_new_process_tells_of_a_job_at_rest_without_a_write() -> None:
    scene = Scene()
    scene.given(suspend=True)
    scene.reconcile()
    (known,) = scene.api.all(FINETUNEJOBS)
    later = Scene(api=scene.api)
    later.synced()
    writes = len(later.api.writes())
    later.reconcile()
    assert len(later.api.writes()) == writes
    assert phases(later) == '"Suspended"} 1.0'
    assert known["status"]["phase"] == "Suspended"


def test_a_job_whose_spec_cannot_be_read_counts_as_failed() -> None:
    scene = Scene()
    scene.given(fromTheFuture=True)
    scene.reconcile()
    assert phases(scene) == '"Failed"} 1.0'
