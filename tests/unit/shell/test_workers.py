"""Workers: one bad key never stops the others, and stopping lets the work in hand end."""

import asyncio
import logging

import pytest

from controller.kube.errors import ApiError, TransportError
from controller.kube.objects import Key
from controller.kube.workqueue import WorkQueue
from controller.shell.metrics import Metrics
from controller.shell.reconcile import Again
from controller.shell.workers import Workers

GOOD, BAD = ("ml", "good"), ("ml", "bad")


async def worked(answers: dict[Key, list[object]], *, rounds: int) -> list[Key]:
    """The keys in the order of their reconciles, until there were so many."""
    queue: WorkQueue[Key] = WorkQueue(base_s=0.01, cap_s=0.02)
    seen: list[Key] = []
    enough = asyncio.Event()

    async def reconcile(key: Key) -> Again:
        seen.append(key)
        if len(seen) >= rounds:
            enough.set()
        left = answers[key]
        answer = left.pop(0) if left else Again()
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Again)
        return answer

    workers = Workers(queue, reconcile, Metrics(), 1)
    task = asyncio.create_task(workers.run())
    for key in answers:
        queue.add(key)
    async with asyncio.timeout(10):
        await enough.wait()
        workers.stop()
        await task
    return seen


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(ValueError("a fault of ours"), id="a fault of ours"),
        pytest.param(ApiError(500, "InternalError", "no"), id="the server's"),
        pytest.param(ApiError(429, "TooMany", "later", retry_after_s=0.01), id="too many requests"),
        pytest.param(TransportError("no answer"), id="no answer"),
        pytest.param(Again(is_backoff=True), id="refused"),
        pytest.param(Again(after_s=0.01), id="later"),
    ],
)
def test_a_key_that_is_not_done_comes_back_and_the_others_go_on(fault: object) -> None:
    seen = asyncio.run(worked({BAD: [fault], GOOD: []}, rounds=3))
    assert seen == [BAD, GOOD, BAD]


def test_a_fault_of_ours_is_logged_with_its_key(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        asyncio.run(worked({BAD: [ValueError("x")]}, rounds=2))
    (record,) = caplog.records
    assert record.__dict__["job"] == "ml/bad"
    assert record.exc_info is not None


def test_stopping_lets_the_work_in_hand_end_and_takes_no_more() -> None:
    async def scene() -> None:
        queue: WorkQueue[Key] = WorkQueue()
        begun, may_end = asyncio.Event(), asyncio.Event()
        ended: list[Key] = []

        async def reconcile(key: Key) -> Again:
            begun.set()
            await may_end.wait()
            ended.append(key)
            return Again()

        workers = Workers(queue, reconcile, Metrics(), 1)
        task = asyncio.create_task(workers.run())
        queue.add(GOOD)
        queue.add(BAD)
        await begun.wait()
        workers.stop()
        idle = asyncio.create_task(workers.idle())
        await asyncio.sleep(0)
        assert not idle.done()
        may_end.set()
        async with asyncio.timeout(10):
            await idle
            await task
        assert ended == [GOOD]

    asyncio.run(scene())
