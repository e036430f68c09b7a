"""The one status write of a reconcile, and the events after it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from controller.api.finetunejob import FineTuneJob
from controller.api.meta import ObjectMeta
from controller.api.status import FineTuneJobStatus
from controller.api.wire import to_document
from controller.core.actions import Event
from controller.kube.client import Client
from controller.kube.events import EventRecorder, Regarding
from controller.shell.kinds import FINETUNEJOBS
from controller.shell.ledger import Ledger
from controller.shell.metrics import Metrics
from controller.shell.records import JobObject

ACTION = "Reconcile"


def stored_status(stored: JobObject) -> Any:  # noqa: ANN401 - any JSON value
    """The status as the server has it; None where there is none."""
    raw = bytes(stored.status)
    return msgspec.json.decode(raw) if raw else None


def status_body(stored: JobObject, document: dict[str, Any]) -> bytes:
    """What is sent: a status for exactly the stored version of the object."""
    meta = stored.metadata
    return msgspec.json.encode(
        {
            "apiVersion": FINETUNEJOBS.api_version,
            "kind": FINETUNEJOBS.kind,
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

    async def publish(
        self, stored: JobObject, status: FineTuneJobStatus, events: Iterable[Event]
    ) -> JobObject:
        """The object as it is stored afterwards.

        Raises:
            ApiError: it was not written; a conflict when the object has changed since.
            TransportError: whether it was written is unknown.
        """
        document = to_document(status)
        if document == stored_status(stored):
            return stored
        meta = stored.metadata
        answer = await self.client.replace(
            FINETUNEJOBS, meta.namespace, meta.name, status_body(stored, document), "status"
        )
        self.metrics.write("update", "FineTuneJob")
        written = self.ledger.remember(msgspec.json.decode(answer, type=JobObject))
        for event in events:
            self._tell(stored, event)
        return written

    def count(self, before: FineTuneJob, after: FineTuneJobStatus, *, has_changed: bool) -> None:
        """Bring the metrics to what is stored."""
        job = before.model_copy(update={"status": after})
        self.metrics.published(job)
        if has_changed and has_run_ended(before.status, after):
            self.metrics.run_ended(job)

    def count_unreadable(self, metadata: ObjectMeta, after: FineTuneJobStatus) -> None:
        """Bring the metrics to what is stored of an object whose spec nobody here can read."""
        parts: dict[str, Any] = {"metadata": metadata, "status": after}
        self.metrics.published(FineTuneJob.model_construct(**parts))

    def _tell(self, stored: JobObject, event: Event) -> None:
        meta = stored.metadata
        regarding = Regarding(
            FINETUNEJOBS.kind, FINETUNEJOBS.api_version, meta.namespace, meta.name, meta.uid
        )
        self.events.record(
            regarding, type=event.type, reason=event.reason, message=event.message, action=ACTION
        )


def has_run_ended(before: FineTuneJobStatus, after: FineTuneJobStatus) -> bool:
    """Whether the newer status is the first to say that its run is over."""
    if after.run is None or after.run.end_time is None:
        return False
    known = before.run
    return known is None or known.number != after.run.number or known.end_time is None
