"""The poller: which answers count, what is news, and that nobody waits for somebody else."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from controller.core.heard import MAX_PROGRESS_BYTES, Speaker, heard_progress
from controller.kube.objects import Key
from controller.shell.progress import (
    NEWS_S,
    Poller,
    Target,
    is_worth_telling,
    progress_url,
)
from trainer.contract.progress import Progress
from trainer.contract.request import Stage

ASKED = Speaker("uid-1", 2, Stage.TRAIN, 3, "pod-1")


def a_progress(**fields: object) -> Progress:
    told = {"uid": "uid-1", "run": 2, "stage": "train", "attempt": 3, "pod_uid": "pod-1"}
    return Progress.model_validate({**told, "percent": 10, **fields})


def in_json(**fields: object) -> bytes:
    return a_progress(**fields).model_dump_json().encode()


def test_an_answer_of_the_one_that_was_asked_counts() -> None:
    assert heard_progress(in_json(), ASKED) == a_progress()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(in_json(uid="uid-2"), id="of another job"),
        pytest.param(in_json(run=1), id="of another run"),
        pytest.param(in_json(stage="judge"), id="of another stage"),
        pytest.param(in_json(attempt=1), id="of another attempt"),
        pytest.param(in_json(pod_uid="pod-2"), id="of another pod"),
        pytest.param(in_json(pod_uid=""), id="of no pod"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\x00", id="no text"),
        pytest.param(b"[" * 4000, id="deep"),
        pytest.param(b"[]", id="a list"),
        pytest.param(in_json()[:-1] + b',"x":1}', id="an unknown field"),
        pytest.param(in_json() + b" " * MAX_PROGRESS_BYTES, id="too long"),
        pytest.param(in_json(step=10**30), id="a step that no status can hold"),
        pytest.param(in_json(step=-1), id="a negative step"),
        pytest.param(in_json(eta_seconds=1e300), id="an absurd time"),
        pytest.param(in_json()[:-1] + b',"etaSeconds":Infinity}', id="infinite"),
        pytest.param(in_json().replace(b"10.0", b"NaN"), id="not a number"),
        pytest.param(in_json().replace(b"10.0", b"101"), id="more than everything"),
    ],
)
def test_any_other_answer_is_none(body: bytes) -> None:
    assert heard_progress(body, ASKED) is None


@pytest.mark.parametrize(
    ("before", "after", "age_s", "expected"),
    [
        pytest.param(None, 0.0, 0, True, id="the first"),
        pytest.param(10.2, 10.9, 1, False, id="less than a percent"),
        pytest.param(10.9, 11.0, 1, True, id="a whole percent"),
        pytest.param(10.2, 10.3, NEWS_S, True, id="long ago"),
        pytest.param(10.2, 5.0, 1, True, id="backwards"),
    ],
)
def test_news_is_what_people_can_see(
    before: float | None, after: float, age_s: float, expected: bool
) -> None:
    told = None if before is None else a_progress(percent=before)
    assert is_worth_telling(told, a_progress(percent=after), age_s=age_s) is expected


def test_an_ipv6_address_is_written_in_brackets() -> None:
    assert progress_url("fd00::1", 9090) == "http://[fd00::1]:9090/progress"
    assert progress_url("10.0.0.1", 9090) == "http://10.0.0.1:9090/progress"


class Stages:
    """Servers on one port, an address each; asked by a poller until the block ends."""

    def __init__(self) -> None:
        self.woken: list[Key] = []
        self.targets: list[Target] = []
        self.asked: dict[str, int] = {}
        self._runners: list[web.AppRunner] = []
        self._port = 0

    async def add(self, name: str, answer: Callable[[], Awaitable[web.StreamResponse]]) -> None:
        async def handle(_: web.Request) -> web.StreamResponse:
            self.asked[name] = self.asked.get(name, 0) + 1
            return await answer()

        app = web.Application()
        app.router.add_get("/progress", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        address = f"127.0.0.{len(self._runners) + 2}"
        await web.TCPSite(runner, address, self._port).start()
        self._port = runner.addresses[0][1]
        self._runners.append(runner)
        speaker = Speaker("uid-1", 2, Stage.TRAIN, 3, name)
        self.targets.append(Target(("ml", name), speaker, address))

    async def polled(self, until: Callable[["Stages", Poller], bool]) -> Poller:
        """Poll until that is so."""
        poller = Poller(lambda: self.targets, self.woken.append, self._port, 0.05)
        task = asyncio.create_task(poller.run())
        try:
            async with asyncio.timeout(10):
                while not until(self, poller):  # noqa: ASYNC110 - what a server has seen
                    await asyncio.sleep(0.01)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            for runner in self._runners:
                await runner.cleanup()
        return poller


def an_answer(name: str, percent: float = 10) -> Callable[[], Awaitable[web.Response]]:
    async def answer() -> web.Response:
        return web.Response(body=in_json(pod_uid=name, percent=percent))

    return answer


def test_progress_is_kept_by_pod_and_wakes_its_job_once() -> None:
    async def scene() -> None:
        stages = Stages()
        await stages.add("pod-a", an_answer("pod-a"))
        poller = await stages.polled(lambda stages, _: stages.asked.get("pod-a", 0) >= 3)
        assert poller.progress_of("pod-a") == a_progress(pod_uid="pod-a")
        assert stages.woken == [("ml", "pod-a")]

    asyncio.run(scene())


def test_a_pod_that_hangs_does_not_delay_another() -> None:
    async def scene() -> None:
        async def hang() -> web.Response:
            await asyncio.sleep(30)
            return web.Response()

        stages = Stages()
        await stages.add("hangs", hang)
        await stages.add("good", an_answer("good"))
        start_s = time.monotonic()
        await stages.polled(lambda stages, _: stages.asked.get("good", 0) >= 5)
        assert time.monotonic() - start_s < 1.4  # the hanging one owes its answer for 1.5 s
        assert stages.asked["hangs"] == 1

    asyncio.run(scene())


@pytest.mark.parametrize("kind", ["redirect", "garbage", "huge", "bomb", "error"])
def test_a_bad_answer_is_no_progress_and_is_asked_less_often(kind: str) -> None:
    async def bad() -> web.StreamResponse:
        if kind == "redirect":
            raise web.HTTPFound("/progress")
        if kind == "error":
            raise web.HTTPInternalServerError
        bodies = {"garbage": b"\xff" * 100, "huge": b"x" * 1_000_000, "bomb": b"x" * 1_000_000}
        answer = web.Response(body=bodies[kind])
        if kind == "bomb":
            answer.enable_compression(web.ContentCoding.gzip)
        return answer

    async def scene() -> None:
        stages = Stages()
        await stages.add("bad", bad)
        await stages.add("good", an_answer("good"))
        poller = await stages.polled(lambda stages, _: stages.asked.get("good", 0) >= 12)
        assert poller.progress_of("bad") is None
        assert ("ml", "bad") not in stages.woken
        assert 1 <= stages.asked["bad"] < stages.asked["good"] / 2

    asyncio.run(scene())


def test_a_pod_that_is_gone_is_forgotten() -> None:
    async def scene() -> None:
        stages = Stages()
        await stages.add("pod-a", an_answer("pod-a"))

        def until(stages: Stages, poller: Poller) -> bool:
            if poller.progress_of("pod-a"):
                stages.targets = []
            return bool(stages.woken) and poller.progress_of("pod-a") is None

        await stages.polled(until)

    asyncio.run(scene())
