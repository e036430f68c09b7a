"""A Job as the controller's children are, without the controller."""

from typing import Any

from trainer.contract.failures import EXIT_CODES

JOB_UID = "0b9d3a3e-7a52-4e0e-9f5a-6f6f0a3d1c11"


def labels(stage: str = "train", *, job: str = "intents", uid: str = JOB_UID) -> dict[str, str]:
    """Of a child and of its pod."""
    told = {"job": job, "uid": uid, "run": "1", "stage": stage, "attempt": "1"}
    ours = {f"tunekeeper.dev/{name}": value for name, value in told.items()}
    return {"app.kubernetes.io/managed-by": "tunekeeper", **ours}


def a_child_job(name: str, stage: str = "train") -> dict[str, Any]:
    """One attempt, with the policies that let the failure class survive the pod."""
    disrupted = {"type": "DisruptionTarget", "status": "True"}
    rules: list[dict[str, Any]] = [{"action": "FailJob", "onPodConditions": [disrupted]}]
    for code in sorted(EXIT_CODES.values()):
        one = {"containerName": "stage", "operator": "In", "values": [code]}
        rules.append({"action": "FailJob", "onExitCodes": one})
    spec = {
        "backoffLimit": 0,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {"rules": rules},
        "template": {"metadata": {"labels": labels(stage)}, "spec": _pod_spec()},
    }
    return {"metadata": {"name": name, "labels": labels(stage)}, "spec": spec}


def _pod_spec() -> dict[str, Any]:
    profile = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    closed = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "stage", "image": "none.example/stage:1", "securityContext": closed}
    return {"restartPolicy": "Never", "securityContext": profile, "containers": [container]}


def condition_of(seen: dict[str, Any], kind: str) -> dict[str, Any] | None:
    """The condition, if it is true."""
    conditions = seen.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == kind and c["status"] == "True"), None)
