"""Events arrive, repeats are one series, and nothing that goes wrong reaches the caller."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.kube.scripted import Answer, Reset, Scripted, Unhurried, a_client, a_json, a_status

from controller.kube.eventdocuments import cut
from controller.kube.events import EventRecorder, Regarding

THING = Regarding("Thing", "example.com/v1", "ns", "my-thing", "u1")
PATH = "/apis/events.k8s.io/v1/namespaces/ns/events"
NOW = datetime(2026, 11, 24, 3, 4, 5, 678, tzinfo=UTC)


class Play:
    """A recorder on a scripted server, with a clock of the test's."""

    def __init__(self, server: Scripted, recorder: EventRecorder, times: list[float]) -> None:
        self.server = server
        self.recorder = recorder
        self.times = times

    def record(self, message: str = "m", regarding: Regarding = THING) -> None:
        self.recorder.record(
            regarding, type="Normal", reason="Done", message=message, action="Finish"
        )

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(call.body) for call in self.server.calls]


def play(
    folder: Path, script: Callable[[Play], Awaitable[None]], *, idle: bool = False, **more: Any
) -> Play:
    async def scenario() -> Play:
        times = [0.0]
        async with Scripted() as server:
            client = await a_client(folder, server.url)
            recorder = EventRecorder(
                client,
                controller="example.com/controller",
                instance="pod-1",
                clock=lambda: times[0],
                now=lambda: NOW,
                backoff=Unhurried,
                **more,
            )
            part = Play(server, recorder, times)
            running = asyncio.create_task(asyncio.sleep(0) if idle else recorder.run())
            await script(part)
            await server.played()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await client.close()
            return part

    return asyncio.run(scenario())


def test_an_event_says_who_what_when_and_about_what(tmp_path: Path) -> None:
    async def script(part: Play) -> None:
        part.server.expect("POST", PATH, a_json({}, 201))
        part.record("it is done")

    [event] = play(tmp_path, script).bodies()
    assert event["metadata"]["namespace"] == "ns"
    assert event["metadata"].pop("name").startswith("my-thing.")
    assert event == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"namespace": "ns"},
        "eventTime": "2026-11-24T03:04:05.000678Z",
        "reportingController": "example.com/controller",
        "reportingInstance": "pod-1",
        "type": "Normal",
        "reason": "Done",
        "action": "Finish",
        "note": "it is done",
        "regarding": {
            "apiVersion": "example.com/v1",
            "kind": "Thing",
            "namespace": "ns",
            "name": "my-thing",
            "uid": "u1",
        },
    }


def test_events_of_cluster_wide_objects_are_in_the_default_namespace(tmp_path: Path) -> None:
    async def script(part: Play) -> None:
        part.server.expect("POST", PATH.replace("ns/", "default/"), a_json({}, 201))
        part.record(regarding=Regarding("Node", "v1", "", "n1", "u"))

    [event] = play(tmp_path, script).bodies()
    assert "namespace" not in event["regarding"]


def test_a_repeat_within_six_minutes_is_a_series(tmp_path: Path) -> None:
    async def script(part: Play) -> None:
        part.server.expect("POST", PATH, a_json({}, 201))
        part.record()
        await part.server.played()
        name = json.loads(part.server.calls[0].body)["metadata"]["name"]
        for passed_s in (359.0, 718.0):
            part.times[0] = passed_s
            part.server.expect("PATCH", f"{PATH}/{name}", a_json({}))
            part.record()
            await part.server.played()

    part = play(tmp_path, script)
    time = "2026-11-24T03:04:05.000678Z"
    assert part.bodies()[1:] == [
        {"series": {"count": count, "lastObservedTime": time}} for count in (2, 3)
    ]
    assert part.server.calls[1].headers["Content-Type"] == "application/merge-patch+json"


def test_a_repeat_after_six_minutes_is_a_new_event(tmp_path: Path) -> None:
    async def script(part: Play) -> None:
        for passed_s in (0.0, 361.0):
            part.times[0] = passed_s
            part.server.expect("POST", PATH, a_json({}, 201))
            part.record()
            await part.server.played()

    first, second = play(tmp_path, script).bodies()
    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert "series" not in second


def test_other_words_are_another_event(tmp_path: Path) -> None:
    async def script(part: Play) -> None:
        for message in ("attempt 1", "attempt 2"):
            part.server.expect("POST", PATH, a_json({}, 201))
            part.record(message)

    assert [body["note"] for body in play(tmp_path, script).bodies()] == ["attempt 1", "attempt 2"]


def test_repeats_before_the_first_is_written_cost_one_request(tmp_path: Path) -> None:
    async def script(part: Play) -> None:
        part.server.expect("POST", PATH, a_json({}, 201))
        for _ in range(500):
            part.record()

    [event] = play(tmp_path, script).bodies()
    assert event["series"]["count"] == 500


def test_a_series_whose_event_expired_is_written_anew(tmp_path: Path) -> None:
    async def script(part: Play) -> None:
        part.server.expect("POST", PATH, a_json({}, 201))
        part.record()
        await part.server.played()
        name = json.loads(part.server.calls[0].body)["metadata"]["name"]
        part.server.expect("PATCH", f"{PATH}/{name}", a_status(404, "NotFound"))
        part.server.expect("POST", PATH, a_json({}, 201))
        part.record()

    assert play(tmp_path, script).bodies()[2]["series"]["count"] == 2


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(a_status(500, "InternalError"), id="500"),
        pytest.param(a_status(429, "TooManyRequests"), id="429"),
        pytest.param(Reset(), id="reset"),
        pytest.param(Answer(502, b"<html>"), id="a proxy's page"),
    ],
)
def test_trouble_is_tried_again_and_a_write_that_had_happened_is_fine(
    tmp_path: Path, trouble: Answer
) -> None:
    async def script(part: Play) -> None:
        part.server.expect("POST", PATH, trouble)
        part.server.expect("POST", PATH, a_status(409, "AlreadyExists"))
        part.record()

    part = play(tmp_path, script)
    first, second = part.bodies()
    assert first["metadata"]["name"] == second["metadata"]["name"]
    assert part.recorder.dropped == 0


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        pytest.param([a_status(403, "Forbidden")], "403", id="refused for good: once"),
        pytest.param([a_status(500, "InternalError")] * 4, "500", id="trouble that stays: 4 times"),
    ],
)
def test_what_cannot_be_written_is_dropped_counted_and_the_next_one_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answers: list[Answer], why: str
) -> None:
    async def script(part: Play) -> None:
        for answer in [*answers, a_json({}, 201)]:
            part.server.expect("POST", PATH, answer)
        part.record("first")
        part.record("second")

    part = play(tmp_path, script)
    assert part.recorder.dropped == 1
    assert part.bodies()[-1]["note"] == "second"
    assert why in caplog.text


def test_flush_waits_for_the_last_answer(tmp_path: Path) -> None:
    async def script(part: Play) -> None:
        await part.recorder.flush()
        for _ in range(3):
            part.server.expect("POST", PATH, a_json({}, 201))
        for number in range(3):
            part.record(f"m{number}")
        await part.recorder.flush()
        assert len(part.server.calls) == 3

    play(tmp_path, script)


def test_when_too_many_wait_the_oldest_is_dropped(tmp_path: Path) -> None:
    async def script(part: Play) -> None:
        for number in range(5):
            part.record(f"m{number}")
        assert part.recorder.dropped == 2
        for _ in range(3):
            part.server.expect("POST", PATH, a_json({}, 201))
        running = asyncio.create_task(part.recorder.run())
        await part.server.played()
        running.cancel()

    part = play(tmp_path, script, idle=True, max_waiting=3)
    assert [body["note"] for body in part.bodies()] == ["m2", "m3", "m4"]


@settings(deadline=None)  # the machine may be busy
@given(st.text(), st.integers(3, 1024))
def test_a_note_is_cut_by_bytes_and_stays_text(text: str, limit: int) -> None:
    kept = cut(text, limit)
    assert len(kept.encode()) <= limit
    if len(text.encode(errors="replace")) <= limit:
        assert kept == text.encode(errors="replace").decode()
    else:
        assert kept.endswith("…")


def test_names_and_words_stay_within_the_servers_limits(tmp_path: Path) -> None:
    async def script(part: Play) -> None:
        part.server.expect("POST", PATH, a_json({}, 201))
        long = Regarding("Thing", "v1", "ns", "a." * 126, "u")
        part.recorder.record(long, type="Warning", reason="R" * 200, message="ü" * 2000, action="")

    [event] = play(tmp_path, script).bodies()
    assert len(event["metadata"]["name"]) <= 253
    assert ".." not in event["metadata"]["name"]
    assert len(event["note"].encode()) <= 1024
    assert len(event["action"].encode()) <= 128
