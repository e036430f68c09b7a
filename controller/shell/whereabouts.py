"""What a log line says of the object that it is about: job, run and attempt, or errand number."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from controller.kube.objects import Key
from controller.shell.glance import glance_at_status
from controller.shell.kinds import ATTEMPT_LABEL, ERRAND_LABEL, NUMBER_LABEL, RUN_LABEL
from controller.shell.records import Job, JobObject

Where = Mapping[str, str | int]


class _Errand(Struct):
    number: int = 0


class _BaseStatus(Struct):
    errand: _Errand | None = None


def where_of_job(key: Key, stored: JobObject | None) -> Where:
    """A FineTuneJob, with the run and attempt that its status records."""
    run = glance_at_status(stored).run if stored is not None else None
    told: dict[str, str | int] = {"job": "/".join(key)}
    return told if run is None else told | {"run": run.number, "attempt": run.attempt}


def where_of_base(key: Key, stored: JobObject | None) -> Where:
    """A BaseModel, with the number of the errand that its status records."""
    told: dict[str, str | int] = {"basemodel": "/".join(key)}
    try:
        known = msgspec.json.decode(stored.status, type=_BaseStatus) if stored else _BaseStatus()
    except msgspec.MsgspecError:
        return told
    return told if known.errand is None else told | {"number": known.errand.number}


def where_of_child(owner: str, child: Job) -> Where:
    """A child of the object ``namespace/name``, by what its labels say that it is."""
    labels = child.metadata.labels
    if ERRAND_LABEL in labels:
        return {"basemodel": owner} | _numbers(labels, {"number": NUMBER_LABEL})
    return {"job": owner} | _numbers(labels, {"run": RUN_LABEL, "attempt": ATTEMPT_LABEL})


def _numbers(labels: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str | int]:
    """Those that are numbers: anyone may write labels."""
    found = {name: labels.get(label, "") for name, label in names.items()}
    return {
        name: int(text[:9]) for name, text in found.items() if text.isascii() and text.isdigit()
    }
