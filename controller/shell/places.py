"""The writable and secret places of a pod: volumes, and where they are mounted."""

from collections.abc import Mapping
from typing import Any

from trainer.contract.base import LocalObjectReference
from trainer.contract.spec import RunSpec

Json = dict[str, Any]

TMP = "/tmp"  # noqa: S108 - an emptyDir of the pod
CACHE = "/cache"
SECRETS = "/var/run/tunekeeper"
SECRET_MODE = 0o440
"""Readable for the pod's group, which fsGroup makes the stage's."""


def secrets_of(spec: RunSpec) -> dict[str, str]:
    """The Secret of each role that the spec names one for: three identities may be in one run."""
    base = spec.base_model
    references: Mapping[str, LocalObjectReference | None] = {
        "base": (base.hugging_face and base.hugging_face.secret_ref)
        or (base.git and base.git.secret_ref)
        or (base.s3 and base.s3.storage.secret_ref)
        or None,
        "dataset": spec.dataset.storage.secret_ref,
        "output": spec.output.storage.secret_ref,
    }
    return {role: ref.name for role, ref in references.items() if ref is not None}


def volumes(spec: RunSpec, claim: str | None) -> list[Json]:
    """What the pod brings. That a Secret is missing is the stage's to report, not the kubelet's."""
    cache: Json = {"persistentVolumeClaim": {"claimName": claim}} if claim else {"emptyDir": {}}
    places: list[Json] = [{"name": "tmp", "emptyDir": {}}, {"name": "cache", **cache}]
    for role, name in secrets_of(spec).items():
        secret = {"secretName": name, "optional": True, "defaultMode": SECRET_MODE}
        places.append({"name": _volume(role), "secret": secret})
    return places


def mounts(spec: RunSpec) -> list[Json]:
    """Where the container finds them."""
    places: list[Json] = [
        {"name": "tmp", "mountPath": TMP},
        {"name": "cache", "mountPath": CACHE},
    ]
    for role in secrets_of(spec):
        path = f"{SECRETS}/{role}"
        places.append({"name": _volume(role), "mountPath": path, "readOnly": True})
    return places


def _volume(role: str) -> str:
    return f"secret-{role}"
