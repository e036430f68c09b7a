"""The writable and secret places of a pod: volumes, and where they are mounted."""

from collections.abc import Mapping
from typing import Any

from trainer.contract.base import LocalObjectReference
from trainer.contract.errand import ResolveRequest, WriteBackRequest
from trainer.contract.source import ModelSource
from trainer.contract.spec import RunSpec

Json = dict[str, Any]

TMP = "/tmp"  # noqa: S108 - an emptyDir of the pod
CACHE = "/cache"
SECRETS = "/var/run/tunekeeper"
SECRET_MODE = 0o440
"""Readable for the pod's group, which fsGroup makes the stage's."""


def secrets_of(spec: RunSpec) -> dict[str, str]:
    """The Secret of each role that the spec names one for: three identities may be in one run."""
    references: Mapping[str, LocalObjectReference | None] = {
        "base": secret_of(spec.base_model),
        "dataset": spec.dataset.storage.secret_ref,
        "output": spec.output.storage.secret_ref,
    }
    return {role: ref.name for role, ref in references.items() if ref is not None}


def errand_secrets_of(request: ResolveRequest | WriteBackRequest) -> dict[str, str]:
    """The Secret of the source, or of the repository that is written to; never both."""
    if isinstance(request, WriteBackRequest):
        written = request.git.secret_ref
        return {"git": written.name} if written is not None else {}
    read = secret_of(request.source)
    return {"base": read.name} if read is not None else {}


def secret_of(source: ModelSource) -> LocalObjectReference | None:
    """What a base model's source is read with."""
    return (
        (source.hugging_face and source.hugging_face.secret_ref)
        or (source.git and source.git.secret_ref)
        or (source.s3 and source.s3.storage.secret_ref)
        or None
    )


def volumes(secrets: Mapping[str, str], claim: str | None) -> list[Json]:
    """What the pod brings. That a Secret is missing is the stage's to report, not the kubelet's."""
    cache: Json = {"persistentVolumeClaim": {"claimName": claim}} if claim else {"emptyDir": {}}
    places: list[Json] = [{"name": "tmp", "emptyDir": {}}, {"name": "cache", **cache}]
    for role, name in secrets.items():
        secret = {"secretName": name, "optional": True, "defaultMode": SECRET_MODE}
        places.append({"name": _volume(role), "secret": secret})
    return places


def mounts(secrets: Mapping[str, str]) -> list[Json]:
    """Where the container finds them."""
    places: list[Json] = [
        {"name": "tmp", "mountPath": TMP},
        {"name": "cache", "mountPath": CACHE},
    ]
    for role in secrets:
        path = f"{SECRETS}/{role}"
        places.append({"name": _volume(role), "mountPath": path, "readOnly": True})
    return places


def _volume(role: str) -> str:
    return f"secret-{role}"
