"""The endpoints, and when the operator calls itself unwell."""

import asyncio
import json
import logging
from contextlib import AsyncExitStack

import aiohttp
import pytest
from cluster.plane import free_port

from controller.shell.health import Health, serve_health, stuck
from controller.shell.logs import JsonLines


@pytest.mark.parametrize(
    ("silences_s", "expected"),
    [
        pytest.param({"jobs": 10, "pods": 30}, [], id="all are well"),
        pytest.param({"jobs": 10, "pods": 400}, ["pods"], id="one is silent"),
        pytest.param({"jobs": 400, "pods": 500}, [], id="the API server is away"),
        pytest.param({}, [], id="none"),
    ],
)
def test_only_a_watch_that_is_silent_alone_is_stuck(
    silences_s: dict[str, float], expected: list[str]
) -> None:
    assert stuck(silences_s) == expected


async def asked(health: Health, path: str, *, is_shared: bool) -> tuple[int, str]:
    ports = [free_port("127.0.0.1") for _ in range(2)]
    addresses = [f"127.0.0.1:{port}" for port in ([ports[0]] * 2 if is_shared else ports)]
    port = addresses[1 if path == "/metrics" else 0]
    async with AsyncExitStack() as stack:
        await serve_health(stack, health, health_address=addresses[0], metrics_address=addresses[1])
        async with aiohttp.ClientSession() as session, session.get(f"http://{port}{path}") as got:
            return got.status, await got.text()


@pytest.mark.parametrize("is_shared", [True, False], ids=["one port", "two ports"])
@pytest.mark.parametrize(
    ("path", "is_well", "status"),
    [
        ("/healthz", True, 200),
        ("/healthz", False, 500),
        ("/readyz", True, 200),
        ("/readyz", False, 503),
        ("/metrics", True, 200),
    ],
)
def test_each_endpoint_answers(path: str, is_well: bool, status: int, is_shared: bool) -> None:
    silences_s = {"jobs": 0.0, "pods": 0.0 if is_well else 1000.0}
    health = Health(lambda: is_well, lambda: silences_s, lambda: b"a 1\n")
    got, text = asyncio.run(asked(health, path, is_shared=is_shared))
    assert got == status
    assert text.endswith("\n")


def test_a_loop_that_stands_still_most_of_the_time_is_unwell_and_says_so() -> None:
    health = Health(lambda: True, lambda: {"jobs": 0.0}, lambda: b"", lambda: 45.0)
    told = asyncio.run(asked(health, "/healthz", is_shared=True))
    assert told == (500, "the event loop stood still for 45 s of the last minute\n")


def test_a_log_line_is_one_json_object_with_its_job() -> None:
    record = logging.LogRecord("controller.x", logging.INFO, "", 0, "two\nlines %s", ("é",), None)
    record.job = "ml/intents"
    line = JsonLines().format(record)
    assert "\n" not in line
    said = json.loads(line)
    assert (said["level"], said["message"], said["job"]) == ("info", "two\nlines é", "ml/intents")
    assert said["time"].endswith("Z")
