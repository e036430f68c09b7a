"""Kueue takes a pod that really trains away, and the work goes on where it was."""

import json
from pathlib import Path

from builders.circle import Circle, opened
from builders.releases import JOB, TUNING
from cluster.api import Json
from cluster.kueue import Kueue
from cluster.plane import ControlPlane
from cluster.process import wait_until
from e2e.objects import OUTPUT

STEPS = 80
START_S = 240.0
"""Imports and base arms; minutes on a machine that runs other tests."""


def apply(circle: Circle) -> None:
    spec = circle.job_spec()
    spec["compute"]["queueName"] = "gpus"
    spec["training"] = {**TUNING["training"], "epochs": 100, "maxSteps": STEPS}
    circle.manifests.begin(circle.base_spec(), spec, circle.publisher.first())
    circle.apply()


def until(circle: Circle, is_true, what: str) -> Json:
    def look() -> Json | None:
        status = circle.job()["status"]
        return status if is_true(status) else None

    return wait_until(look, what, START_S)


def has_trained(status: Json) -> bool:
    progress = status.get("progress") or {}
    return progress.get("stage") == "train" and 5 <= progress.get("step", 0) < STEPS


def claim(circle: Circle, run_id: str) -> Json:
    """Who writes the run's files last."""
    key = f"{circle.namespace}/out/runs/{run_id}/claim.json"
    found = circle.objects.server.client().get_object(Bucket=OUTPUT, Key=key)
    return dict(json.loads(found["Body"].read()))


def steps_since(circle: Circle, since: Json) -> list[int]:
    """Every optimizer step that the status has shown since then."""
    path = f"/apis/tunekeeper.dev/v1alpha1/namespaces/{circle.namespace}/finetunejobs"
    version = since["metadata"]["resourceVersion"]
    query = f"watch=1&resourceVersion={version}&timeoutSeconds=1"
    _, body = circle.plane.api.raw("GET", f"{path}?{query}")
    seen = [json.loads(line)["object"]["status"] for line in body.splitlines()]
    told = [status["progress"] for status in seen if status.get("progress")]
    return [one["step"] for one in told if one["stage"] == "train" and one["step"]]


def test_the_second_pod_of_the_attempt_trains_from_the_checkpoint_of_the_first(
    plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    with opened(plane, namespace, tmp_path) as circle:
        apply(circle)
        kueue = Kueue(plane.api, namespace)
        job = kueue.job(job=JOB, timeout_s=START_S)
        kueue.admit(job)
        reached = until(circle, has_trained, "it trains")["progress"]["step"]
        kueue.preempt(job)
        status = until(circle, lambda s: s["run"].get("preempted"), "its pod has ended")
        assert (status["phase"], status["run"]["failures"]) == ("Queued", 0)
        before = circle.job()
        kueue.admit(job)
        end = circle.finished(1)
        assert end.run["attempts"] == {"prepare": 1, "train": 1, "judge": 1}
        assert end.run["failures"] == 0
        written = claim(circle, end.run["id"])
        assert (written["epoch"], written["attempt"]) == (2, 1)
        assert min(steps_since(circle, before)) >= reached
