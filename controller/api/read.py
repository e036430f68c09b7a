"""An object as an API server holds it -> ours: strict about the spec, lenient about the status.

The spec is the user's: what we do not understand in it we must not guess at. The status is our
own, perhaps of a newer release: what we do not understand in it is dropped, and never in the way.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import pydantic
from pydantic_core import ErrorDetails, from_json

from controller.api.basemodel import BaseModelObject, BaseModelStatus
from controller.api.finetunejob import FineTuneJob, FineTuneJobSpec
from controller.api.memo import KEPT
from controller.api.meta import ObjectMeta
from controller.api.paths import Path, at, document_path, dotted
from controller.api.status import FineTuneJobStatus, RunStatus
from controller.errors import Problem, SpecError
from trainer.contract.request import Stage

Status = TypeVar("Status", FineTuneJobStatus, BaseModelStatus)
Object = TypeVar("Object", FineTuneJob, BaseModelObject)

MAX_PROBLEMS = 10
ROUNDS = 20
"""A part that is dropped may leave the part around it incomplete, and so on outwards."""


def read_job(metadata: Mapping[str, Any], spec: bytes, status: bytes) -> FineTuneJob:
    """The job; ``metadata`` as JSON values, the other two as JSON text.

    Raises:
        SpecError: The spec has something in it that this release cannot read.
    """
    read = _read_spec(bytes(spec))
    return _object(FineTuneJob, metadata, spec if read is None else read, read_status(status))


def read_base_model(metadata: Mapping[str, Any], spec: bytes, status: bytes) -> BaseModelObject:
    """The base model, likewise.

    Raises:
        SpecError: The spec has something in it that this release cannot read.
    """
    return _object(BaseModelObject, metadata, spec, read_base_model_status(status))


def read_metadata(metadata: Mapping[str, Any]) -> ObjectMeta:
    """The metadata, which an API server guarantees to be some."""
    return ObjectMeta.model_validate(metadata)


def read_status(status: bytes) -> FineTuneJobStatus:
    """As much of a stored status as makes sense."""
    read = _status(FineTuneJobStatus, status)
    run = read.run
    return read.model_copy(update={"run": None}) if run and not _is_whole(run) else read


def read_base_model_status(status: bytes) -> BaseModelStatus:
    """As much of a stored status as makes sense; an errand that names nothing is none."""
    read = _status(BaseModelStatus, status)
    errand = read.errand
    is_whole = errand is None or (errand.number and errand.errand and errand.source_hash)
    return read if is_whole else read.model_copy(update={"errand": None})


def _is_whole(run: RunStatus) -> bool:
    """A run that names no attempt is none: a new one takes the next number."""
    is_named = run.number > 0 and run.attempt > 0 and run.stage is not None
    return is_named and (run.stage is not Stage.COLLECT or run.lost is not None)


def _object(
    kind: type[Object],
    metadata: Mapping[str, Any],
    spec: bytes | FineTuneJobSpec,
    status: FineTuneJobStatus | BaseModelStatus,
) -> Object:
    written = spec if isinstance(spec, FineTuneJobSpec) else _parsed(spec)
    document = {"metadata": read_metadata(metadata), "spec": written, "status": status}
    try:
        return kind.model_validate(document)
    except pydantic.ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise SpecError(_problems(document, faults)) from None


@lru_cache(KEPT)
def _read_spec(spec: bytes) -> FineTuneJobSpec | None:
    """The same text is read once; None where there is something to complain about."""
    try:
        return FineTuneJobSpec.model_validate(_parsed(spec))
    except pydantic.ValidationError:
        return None


def _problems(document: Mapping[str, Any], faults: Sequence[ErrorDetails]) -> list[Problem]:
    """One per place, without values: they may be secret."""
    told: dict[str, str] = {}
    for fault in faults:
        path = document_path(document, fault["loc"], is_missing=fault["type"] == "missing")
        told.setdefault(dotted(path), _said(fault))
    found = [Problem(place, message) for place, message in told.items()]
    more = len(found) - MAX_PROBLEMS
    rest = [Problem("", f"and {more} more")] if more > 0 else []
    return found[:MAX_PROBLEMS] + rest


def _said(fault: ErrorDetails) -> str:
    if fault["type"] == "extra_forbidden":
        return "this release does not know the field; remove it, or upgrade the operator"
    return f"this release cannot read it: {fault['msg']}"


def _status(kind: type[Status], data: bytes) -> Status:
    document = _parsed(data)
    for _ in range(ROUNDS):
        try:
            return kind.model_validate(document)
        except pydantic.ValidationError as error:
            faults = error.errors(include_url=False, include_context=False, include_input=False)
            document = _without(document, faults)
    return kind()


def _without(document: Any, faults: Sequence[ErrorDetails]) -> Any:  # noqa: ANN401 - any JSON value
    """The document without the parts that are wrong; last first, so that places stay true."""
    for path in sorted({_place(document, fault) for fault in faults}, key=_order, reverse=True):
        if not path:
            return {}
        around = at(document, path[:-1])
        if isinstance(around, dict | list):
            del around[path[-1]]  # type: ignore[arg-type] # a path names what is there
    return document


def _place(document: Any, fault: ErrorDetails) -> Path:  # noqa: ANN401 - any JSON value
    """What has to go: the part that is wrong, or the one that lacks something."""
    return document_path(document, fault["loc"], is_missing=False)


def _order(path: Path) -> tuple[tuple[bool, int, str], ...]:
    """Any order in which a list's later elements come after its earlier ones."""
    return tuple((isinstance(p, int), p if isinstance(p, int) else 0, str(p)) for p in path)


def _parsed(data: bytes) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return from_json(bytes(data)) if data else {}
    except ValueError:
        return {}
