"""The one status write of a reconcile, and the events after it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from controller.api.basemodel import BaseModelStatus
from controller.api.memo import KEPT
from controller.api.status import FineTuneJobStatus
from controller.api.wire import to_document
from controller.core.actions import Event
from controller.kube.client import Client
from controller.kube.events import EventRecorder, Regarding
from controller.kube.resources import Resource
from controller.shell.kinds import FINETUNEJOBS
from controller.shell.ledger import Ledger
from controller.shell.metrics import Metrics
from controller.shell.records import JobObject

ACTION = "Reconcile"


def stored_status(stored: JobObject) -> Any:  # noqa: ANN401 - any JSON value
    """The status as the server has it; None where there is none."""
    raw = bytes(stored.status)
    return msgspec.json.decode(raw) if raw else None


def status_body(
    stored: JobObject, document: dict[str, Any], resource: Resource = FINETUNEJOBS
) -> bytes:
    """What is sent: a status for exactly the stored version of the object."""
    meta = stored.metadata
    return msgspec.json.encode(
        {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {
                "namespace": meta.namespace,
                "name": meta.name,
                "uid": meta.uid,
                "resourceVersion": meta.resource_version,
            },
            "status": document,
        }
    )


@dataclass
class Publisher:
    """Writes statuses; only what differs from what is stored."""

    client: Client
    events: EventRecorder
    ledger: Ledger
    metrics: Metrics
    resource: Resource = FINETUNEJOBS
    _written: dict[str, tuple[str, FineTuneJobStatus | BaseModelStatus]] = field(
        default_factory=dict
    )
    """The newest own writes: the round after a write usually has the same to say."""

    async def publish(
        self,
        stored: JobObject,
        status: FineTuneJobStatus | BaseModelStatus,
        events: Iterable[Event],
    ) -> JobObject:
        """The object as it is stored afterwards.

        Raises:
            ApiError: it was not written; a conflict when the object has changed since.
            TransportError: whether it was written is unknown.
        """
        meta = stored.metadata
        if self._written.get(meta.uid) == (meta.resource_version, status):
            return stored
        document = to_document(status)
        if document == stored_status(stored):
            return stored
        body = status_body(stored, document, self.resource)
        answer = await self.client.replace(self.resource, meta.namespace, meta.name, body, "status")
        self.metrics.write("update", self.resource.kind)
        written = self.ledger.remember(msgspec.json.decode(answer, type=JobObject))
        self._keep(written, status)
        for event in events:
            self._tell(stored, event)
        return written

    def _keep(self, written: JobObject, status: FineTuneJobStatus | BaseModelStatus) -> None:
        if len(self._written) >= KEPT:
            del self._written[next(iter(self._written))]
        self._written[written.metadata.uid] = (written.metadata.resource_version, status)

    def _tell(self, stored: JobObject, event: Event) -> None:
        meta = stored.metadata
        kind, version = self.resource.kind, self.resource.api_version
        regarding = Regarding(kind, version, meta.namespace, meta.name, meta.uid)
        self.events.record(
            regarding, type=event.type, reason=event.reason, message=event.message, action=ACTION
        )
