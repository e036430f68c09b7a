"""The one status write of a reconcile, and the events after it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from controller.api.basemodel import BaseModelStatus
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

    async def publish(
        self,
        stored: JobObject,
        status: FineTuneJobStatus | BaseModelStatus,
        events: Iterable[Event],
        *,
        known: FineTuneJobStatus | BaseModelStatus | None = None,
    ) -> JobObject:
        """The object as it is stored afterwards.

        Args:
            stored: what the write is about.
            status: what is to be said.
            events: what is told once it is.
            known: the stored status as it was read. Who has nothing to say beyond it leaves in
                peace what a newer release may have written there.

        Raises:
            ApiError: it was not written; a conflict when the object has changed since.
            TransportError: whether it was written is unknown.
        """
        meta = stored.metadata
        if status == known:
            return stored
        document = to_document(status)
        if document == stored_status(stored):
            return stored
        body = status_body(stored, document, self.resource)
        answer = await self.client.replace(self.resource, meta.namespace, meta.name, body, "status")
        self.metrics.write("update", self.resource.kind)
        written = self.ledger.remember(msgspec.json.decode(answer, type=JobObject))
        for event in events:
            self._tell(stored, event)
        return written

    def _tell(self, stored: JobObject, event: Event) -> None:
        meta = stored.metadata
        kind, version = self.resource.kind, self.resource.api_version
        regarding = Regarding(kind, version, meta.namespace, meta.name, meta.uid)
        self.events.record(
            regarding, type=event.type, reason=event.reason, message=event.message, action=ACTION
        )
