"""Jobs and pods as a cluster shows them, changed by keyword; decoded as the reflectors do."""

import json
from datetime import datetime, timedelta
from typing import Any

import msgspec
from builders.jobs import RUN_ID, START, UID

from controller.api.meta import rfc3339
from controller.shell.records import Job, Pod

JOB_UID = "job-1"
HASH = "0123456789abcdef"


def at(seconds: float) -> str:
    """A time of the API, ``seconds`` after the start."""
    return rfc3339(START + timedelta(seconds=seconds))


def when(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def labels(stage: str = "train", *, run: int = 1, attempt: int = 1) -> dict[str, str]:
    """Of a child of the builders' job."""
    return {
        "app.kubernetes.io/managed-by": "tunekeeper",
        "tunekeeper.dev/job": "intents",
        "tunekeeper.dev/uid": UID,
        "tunekeeper.dev/run": str(run),
        "tunekeeper.dev/stage": stage,
        "tunekeeper.dev/attempt": str(attempt),
        "tunekeeper.dev/spec-hash": HASH,
    }


def job_document(*conditions: dict[str, Any], deleted: float | None = None, **status: Any) -> dict:
    """A Job of the builders' FineTuneJob in JSON."""
    owner = {"kind": "FineTuneJob", "name": "intents", "uid": UID, "controller": True}
    metadata: dict[str, Any] = {
        "name": "intents-abcde-r1-train-1",
        "namespace": "ml",
        "uid": JOB_UID,
        "labels": labels(),
        "ownerReferences": [owner],
        "creationTimestamp": at(0),
    }
    if deleted is not None:
        metadata["deletionTimestamp"] = at(deleted)
    return {"metadata": metadata, "status": {"conditions": list(conditions), **status}}


def a_kube_job(*conditions: dict[str, Any], **fields: Any) -> Job:
    return msgspec.convert(job_document(*conditions, **fields), Job)


def condition(
    kind: str, *, reason: str = "", message: str = "", status: str = "True", seconds: float = 60
) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": at(seconds),
    }


def exited(code: int) -> str:
    """The message that a FailJob rule for an exit code leaves in the Job."""
    pod = "ml/intents-abcde-r1-train-1-x7k2p"
    return (
        f"Container stage for pod {pod} failed with exit code {code} matching FailJob rule"
        " at index 4"
    )


DISRUPTED = (
    "Pod ml/intents-abcde-r1-train-1-x7k2p has condition DisruptionTarget matching FailJob rule"
    " at index 0"
)


def pod_document(phase: str = "Running", *, uid: str = "pod-1", **status: Any) -> dict[str, Any]:
    """A pod of that Job in JSON."""
    owner = {"kind": "Job", "name": "intents-abcde-r1-train-1", "uid": JOB_UID, "controller": True}
    return {
        "metadata": {
            "name": f"intents-abcde-r1-train-1-{uid}",
            "namespace": "ml",
            "uid": uid,
            "labels": {**labels(), "batch.kubernetes.io/job-name": "intents-abcde-r1-train-1"},
            "ownerReferences": [owner],
            "creationTimestamp": at(1),
        },
        "spec": {"nodeName": "node-1"},
        "status": {"phase": phase, "startTime": at(2), **status},
    }


def a_pod(phase: str = "Running", **fields: Any) -> Pod:
    return msgspec.convert(pod_document(phase, **fields), Pod)


def ended(
    code: int, *, message: str = "", reason: str = "Error", seconds: float = 50, **fields: Any
) -> Pod:
    """A pod whose stage ended."""
    told = {"exitCode": code, "reason": reason, "message": message, "finishedAt": at(seconds)}
    phase = "Failed" if code else "Succeeded"
    statuses = [{"name": "stage", "state": {"terminated": told}}]
    return a_pod(phase, containerStatuses=statuses, **fields)


def overdue(message: str) -> Pod:
    """A pod that the kubelet ended at its activeDeadlineSeconds; its stage left this word."""
    told = {"exitCode": 23, "reason": "Error", "message": message, "finishedAt": at(50)}
    statuses = [{"name": "stage", "state": {"terminated": told}}]
    return a_pod("Failed", reason="DeadlineExceeded", containerStatuses=statuses)


def waiting(reason: str, message: str = "") -> Pod:
    """A pod whose container cannot start."""
    state = {"waiting": {"reason": reason, "message": message}}
    return a_pod("Pending", containerStatuses=[{"name": "stage", "state": state}])


def word(**fields: Any) -> str:
    """The termination message of the child's stage."""
    told = {"stage": "train", "uid": UID, "run": 1, "attempt": 1, "runId": RUN_ID}
    return f"{json.dumps({**told, **fields})}\n{{}}\n"
