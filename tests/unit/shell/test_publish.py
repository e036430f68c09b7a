"""The one status write: only when something differs, events only after it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from builders.jobs import START, a_job

from controller.api.status import FineTuneJobStatus, JobCost, RunStatus
from controller.api.wire import to_document
from controller.core.actions import Event
from controller.kube.errors import ApiError
from controller.kube.objects import Meta
from controller.shell.happened import has_run_ended
from controller.shell.ledger import Ledger
from controller.shell.metrics import Metrics
from controller.shell.publish import Publisher, status_body
from controller.shell.records import JobObject

RUN = RunStatus(number=1, stage="train", attempt=2, start_time=START)
STATUS = FineTuneJobStatus(observed_generation=1, phase="Running", run=RUN)


def a_stored(status: FineTuneJobStatus | None, version: str = "7") -> JobObject:
    raw = b"" if status is None else msgspec.json.encode(to_document(status))
    meta = Meta("intents", "ml", "uid-1", version)
    return JobObject(meta, status=msgspec.Raw(raw))


@dataclass
class Server:
    """Takes statuses as an API server does: for the version that it has."""

    has: JobObject
    written: list[dict[str, Any]] = field(default_factory=list)

    async def replace(self, resource: object, namespace: str, name: str, body: bytes, sub: str):
        del resource, namespace, name
        assert sub == "status"
        sent = msgspec.json.decode(body)
        if sent["metadata"]["resourceVersion"] != self.has.metadata.resource_version:
            raise ApiError(409, "Conflict", "changed since")
        self.written.append(sent["status"])
        sent["metadata"]["resourceVersion"] = "8"
        return msgspec.json.encode(sent)


@dataclass
class Recorder:
    """Keeps what it is told."""

    told: list[str] = field(default_factory=list)

    def record(self, regarding: object, *, reason: str, **_: object) -> None:
        del regarding
        self.told.append(reason)


@dataclass
class Desk:
    """A publisher and what it talks to."""

    server: Server
    recorder: Recorder = field(default_factory=Recorder)
    ledger: Ledger = field(default_factory=lambda: Ledger(lambda: 0.0))

    def publish(self, stored: JobObject, status: FineTuneJobStatus) -> JobObject:
        publisher = Publisher(self.server, self.recorder, self.ledger, Metrics())  # type: ignore[arg-type] # plays
        return asyncio.run(publisher.publish(stored, status, [Event("Normal", "Said", "it")]))


def test_a_status_that_is_stored_already_is_not_written_again() -> None:
    stored = a_stored(STATUS)
    desk = Desk(Server(stored))
    assert desk.publish(stored, STATUS) is stored
    assert desk.server.written == []
    assert desk.recorder.told == []


def test_floats_count_as_they_are_written() -> None:
    cost = JobCost(gpu_seconds=1 / 3, wall_seconds=0, wasted_gpu_seconds=0)
    stored = a_stored(STATUS.model_copy(update={"cost": cost}))
    desk = Desk(Server(stored))
    rounded = cost.model_copy(update={"gpu_seconds": 0.33333301})
    desk.publish(stored, STATUS.model_copy(update={"cost": rounded}))
    assert desk.server.written == []


@pytest.mark.parametrize("before", [None, FineTuneJobStatus()], ids=["no status", "another"])
def test_a_status_that_differs_is_written_whole_and_remembered(
    before: FineTuneJobStatus | None,
) -> None:
    stored = a_stored(before)
    desk = Desk(Server(stored))
    written = desk.publish(stored, STATUS)
    assert desk.server.written == [to_document(STATUS)]
    assert written.metadata.resource_version == "8"
    assert desk.ledger.newest(stored) is written
    assert desk.recorder.told == ["Said"]


def test_after_a_conflict_there_are_no_events() -> None:
    desk = Desk(Server(a_stored(None, version="9")))
    with pytest.raises(ApiError, match="changed since"):
        desk.publish(a_stored(None), STATUS)
    assert desk.recorder.told == []


def test_the_body_names_the_exact_object_and_holds_no_spec() -> None:
    body = msgspec.json.decode(status_body(a_stored(None), {"phase": "Running"}))
    assert body["metadata"] == {
        "namespace": "ml",
        "name": "intents",
        "uid": "uid-1",
        "resourceVersion": "7",
    }
    assert body["apiVersion"] == "tunekeeper.dev/v1alpha1"
    assert "spec" not in body


ENDED = RUN.model_copy(update={"end_time": START})


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(None, None, False, id="no run"),
        pytest.param(RUN, RUN, False, id="still under way"),
        pytest.param(RUN, ENDED, True, id="ended now"),
        pytest.param(ENDED, ENDED, False, id="ended before"),
        pytest.param(ENDED, ENDED.model_copy(update={"number": 2}), True, id="another one"),
        pytest.param(None, ENDED, True, id="from nothing"),
    ],
)
def test_a_run_ends_once(before: RunStatus | None, after: RunStatus | None, expected: bool) -> None:
    old, new = (a_job().status.model_copy(update={"run": run}) for run in (before, after))
    assert has_run_ended(old, new) is expected
