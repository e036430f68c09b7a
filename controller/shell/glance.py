"""The few fields of a FineTuneJob that are read without reading it whole."""

from collections.abc import Iterable
from datetime import datetime

import msgspec
from msgspec import Struct

from controller.kube.objects import Key, KubeObject
from controller.shell.kinds import JOB_LABEL, UID_LABEL
from controller.shell.records import JobObject


class RunGlance(Struct, rename="camel"):
    """The recorded run."""

    number: int = 0
    stage: str = ""
    attempt: int = 0
    trigger: str = ""
    end_time: datetime | None = None
    waits: int = 0
    not_before: datetime | None = None


class StatusGlance(Struct):
    """The stored status."""

    run: RunGlance | None = None
    phase: str = ""


class _BaseGlance(Struct):
    name: str = ""


class _RetrainGlance(Struct):
    policy: str = ""


class _SpecGlance(Struct, rename="camel"):
    base_model: _BaseGlance | None = None
    retrain: _RetrainGlance | None = None


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


def is_retrained_by_itself(stored: JobObject) -> bool:
    """Whether a spec asks for ``retrain.policy: Auto``."""
    try:
        spec = msgspec.json.decode(stored.spec, type=_SpecGlance)
    except msgspec.MsgspecError:
        return False
    return spec.retrain is not None and spec.retrain.policy == "Auto"


class _Latest(Struct, rename="camel"):
    revision: str = ""
    content_digest: str = ""


class _ConditionGlance(Struct):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class BaseStatusGlance(Struct, rename="camel"):
    """What a job reads of a BaseModel's status."""

    latest: _Latest | None = None
    source_hash: str = ""
    conditions: list[_ConditionGlance] = []


def glance_at_base(stored: JobObject) -> BaseStatusGlance:
    """Only the condition Ready; a look at the source that found nothing new changes none of it."""
    try:
        found = msgspec.json.decode(stored.status, type=BaseStatusGlance)
    except msgspec.MsgspecError:
        return BaseStatusGlance()
    ready = [condition for condition in found.conditions if condition.type == "Ready"]
    return BaseStatusGlance(found.latest, found.source_hash, ready)


def has_news_for_jobs(old: JobObject | None, new: JobObject | None) -> bool:
    """Whether a BaseModel changed in what the jobs that name it read."""
    if old is None or new is None or old.metadata.uid != new.metadata.uid:
        return True
    return bytes(old.spec) != bytes(new.spec) or glance_at_base(old) != glance_at_base(new)


def owner_uid_of(child: KubeObject) -> Iterable[str]:
    """Index: the uid of the FineTuneJob that a Job or Pod says it belongs to."""
    uid = child.metadata.labels.get(UID_LABEL)
    return (uid,) if uid else ()


def owner_key_of(child: KubeObject) -> Key | None:
    """The key of the FineTuneJob that a Job or Pod says it belongs to."""
    name = child.metadata.labels.get(JOB_LABEL)
    return (child.metadata.namespace, name) if name else None


def uid_of(obj: KubeObject) -> Iterable[str]:
    """Index: an object by its own uid."""
    return (obj.metadata.uid,)
