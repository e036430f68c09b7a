"""Event documents, within the limits that the API server sets. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controller.kube.clock import micro_time
from controller.kube.resources import EVENTS

# bytes, not characters: the server counts the UTF-8
MAX_NOTE_BYTES = 1024
MAX_WORD_BYTES = 128
# where events about cluster-wide objects live
CLUSTER_NAMESPACE = "default"
ELLIPSIS = "…"


@dataclass(frozen=True)
class Regarding:
    """The object that an event is about."""

    kind: str
    api_version: str
    namespace: str
    """Empty for a cluster-wide object."""
    name: str
    uid: str


@dataclass(frozen=True)
class Happening:
    """What an event says, but for when: equal ones are a series."""

    regarding: Regarding
    type: str
    reason: str
    message: str
    action: str


def namespace_of(regarding: Regarding) -> str:
    """Where the event belongs."""
    return regarding.namespace or CLUSTER_NAMESPACE


def event_of(
    happening: Happening,
    name: str,
    *,
    controller: str,
    instance: str,
    first: datetime,
    last: datetime,
    count: int,
) -> dict[str, Any]:
    """A new event; with a series when it happened more than once before it was written."""
    event: dict[str, Any] = {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"namespace": namespace_of(happening.regarding), "name": name},
        "eventTime": micro_time(first),
        "reportingController": controller,
        "reportingInstance": cut(instance, MAX_WORD_BYTES),
        "type": happening.type,
        "reason": cut(happening.reason, MAX_WORD_BYTES),
        "action": cut(happening.action or happening.reason, MAX_WORD_BYTES),
        "note": cut(happening.message, MAX_NOTE_BYTES),
        "regarding": _reference(happening.regarding),
    }
    return event if count == 1 else {**event, "series": series_of(count, last)}


def series_of(count: int, last: datetime) -> dict[str, Any]:
    """How often, and when last."""
    return {"count": count, "lastObservedTime": micro_time(last)}


def cut(text: str, limit_bytes: int) -> str:
    """At most so many bytes, never half a character, with a mark where something is missing."""
    whole = text.encode(errors="replace")
    if len(whole) <= limit_bytes:
        return whole.decode()
    kept = whole[: limit_bytes - len(ELLIPSIS.encode())]
    return kept.decode(errors="ignore") + ELLIPSIS


def _reference(regarding: Regarding) -> dict[str, str]:
    fields = {
        "apiVersion": regarding.api_version,
        "kind": regarding.kind,
        "namespace": regarding.namespace,
        "name": regarding.name,
        "uid": regarding.uid,
    }
    return {name: value for name, value in fields.items() if value}
