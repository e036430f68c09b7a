"""A half-open connection is found in time: with the times of a cluster, that are passed in."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from builders.hurried import run_hurried
from unit.kube.reflecting import WATCH, Thing
from unit.kube.scripted import (
    Answer,
    Scripted,
    Stream,
    a_bookmark,
    a_client,
    a_list,
    a_watch,
    an_object,
)

from controller.kube.reflector import Reflector
from controller.kube.resources import PODS

PATH = "/api/v1/pods"
FOUND_WITHIN_S = 75.0
DEADLINE_S = 1000.0


@dataclass
class Timed(Answer):
    """Notes when it is asked for, and answers as another."""

    answer: Answer = field(default_factory=Answer)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    at_s: float = 0.0

    async def send(self, request: web.Request) -> web.StreamResponse:
        self.at_s = asyncio.get_running_loop().time()
        self.asked.set()
        return await self.answer.send(request)


async def times_of(folder: Path, half_open: Answer) -> tuple[float, list[str]]:
    """Seconds from the opening of a watch that falls silent to that of the next; what is known."""
    dead, alive = Timed(answer=half_open), Timed(answer=a_watch(then="hang"))
    async with Scripted() as server:
        server.expect("GET", PATH, a_list(an_object("a")), {"limit": "500"})
        server.expect("GET", PATH, dead, WATCH)
        server.expect("GET", PATH, a_list(version="30"), {"limit": "1"})
        server.expect("GET", PATH, alive, WATCH)
        client = await a_client(folder, server.url)
        loop = asyncio.get_running_loop()
        reflector = Reflector(
            client, PODS, Thing, on_change=lambda _old, _new: None, clock=loop.time
        )
        running = asyncio.create_task(reflector.run())
        async with asyncio.timeout(DEADLINE_S):
            await alive.asked.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await client.close()
        return alive.at_s - dead.at_s, [thing.metadata.name for thing in reflector.store.all()]


def test_a_watch_that_is_dead_from_its_beginning_is_replaced_within_75_s(tmp_path: Path) -> None:
    passed_s, known = run_hurried(times_of(tmp_path, a_watch(then="hang")))
    assert 60.0 < passed_s <= FOUND_WITHIN_S
    assert known == ["a"]


def test_a_watch_whose_answer_never_begins_is_replaced_within_75_s(tmp_path: Path) -> None:
    passed_s, known = run_hurried(times_of(tmp_path, Mute()))
    assert passed_s <= FOUND_WITHIN_S
    assert known == ["a"]


def test_a_watch_that_dies_after_a_bookmark_is_replaced_within_75_s_of_it(tmp_path: Path) -> None:
    told = a_watch(a_bookmark("11"), then="hang")
    passed_s, _ = run_hurried(times_of(tmp_path, told))
    assert passed_s <= FOUND_WITHIN_S


@dataclass
class Mute(Answer):
    """The connection is there, and that is all."""

    async def send(self, _request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError


def test_bookmarks_each_minute_keep_a_quiet_watch_open(tmp_path: Path) -> None:
    passed_s, _ = run_hurried(times_of(tmp_path, Bookmarked()))
    assert passed_s > 4 * 60


@dataclass
class Bookmarked(Stream):
    """A watch as an API server keeps it where nothing happens; after five minutes it ends."""

    async def send(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for minute in range(5):
            await asyncio.sleep(61.25)
            (line,) = a_watch(a_bookmark(str(20 + minute))).pieces
            await response.write(line)
        request.transport.abort()
        return response
