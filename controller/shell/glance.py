"""The few fields of a FineTuneJob that are read without reading it whole."""

from collections.abc import Iterable
from datetime import datetime

import msgspec
from msgspec import Raw, Struct

from controller.kube.objects import Key, KubeObject
from controller.shell.kinds import JOB_LABEL, UID_LABEL
from controller.shell.records import JobObject


class RunGlance(Struct, rename="camel"):
    """The recorded run."""

    number: int = 0
    stage: str = ""
    attempt: int = 0
    end_time: datetime | None = None
    waits: int = 0
    not_before: datetime | None = None


class StatusGlance(Struct):
    """The stored status."""

    run: RunGlance | None = None
    phase: str = ""


class _BaseGlance(Struct):
    name: str = ""


class _SpecGlance(Struct, rename="camel"):
    base_model: _BaseGlance | None = None


def glance_at_status(stored: JobObject) -> StatusGlance:
    """The status; an empty one where it cannot be read."""
    try:
        return msgspec.json.decode(stored.status, type=StatusGlance)
    except msgspec.MsgspecError:
        return StatusGlance()


def base_models_of(stored: JobObject) -> Iterable[str]:
    """Index: ``namespace/name`` of the BaseModel that a spec refers to."""
    try:
        spec = msgspec.json.decode(stored.spec, type=_SpecGlance)
    except msgspec.MsgspecError:
        return ()
    if spec.base_model is None or not spec.base_model.name:
        return ()
    return (f"{stored.metadata.namespace}/{spec.base_model.name}",)


def owner_uid_of(child: KubeObject) -> Iterable[str]:
    """Index: the uid of the FineTuneJob that a Job or Pod says it belongs to."""
    uid = child.metadata.labels.get(UID_LABEL)
    return (uid,) if uid else ()


def owner_key_of(child: KubeObject) -> Key | None:
    """The key of the FineTuneJob that a Job or Pod says it belongs to."""
    name = child.metadata.labels.get(JOB_LABEL)
    return (child.metadata.namespace, name) if name else None


class _BaseStatusGlance(Struct, rename="camel"):
    """What of a BaseModel's status a job can see; not when it was looked at last."""

    conditions: Raw = Raw(b"")
    latest: Raw = Raw(b"")
    candidate: Raw = Raw(b"")
    source_hash: str = ""


def shown_to_jobs(stored: JobObject) -> tuple[bytes, ...]:
    """What the jobs that name a BaseModel are woken for, when it changes."""
    try:
        status = msgspec.json.decode(stored.status, type=_BaseStatusGlance)
    except msgspec.MsgspecError:
        status = _BaseStatusGlance()
    seen = (status.conditions, status.latest, status.candidate)
    return (bytes(stored.spec), *(bytes(part) for part in seen), status.source_hash.encode())


def uid_of(obj: KubeObject) -> Iterable[str]:
    """Index: an object by its own uid."""
    return (obj.metadata.uid,)
