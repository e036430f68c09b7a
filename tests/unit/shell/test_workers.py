"""Workers: one bad key never stops the others, and stopping lets the work in hand end."""

import asyncio
import logging

import pytest

from controller.kube.errors import ApiError, TransportError
from controller.kube.objects import Key
from controller.kube.workqueue import WorkQueue
from controller.shell.metrics import Metrics
from controller.shell.reconcile import Again
from controller.shell.workers import Workers, result_of

GOOD, BAD = ("ml", "good"), ("ml", "bad")


async def worked(
    answers: dict[Key, list[object]], *, rounds: int, metrics: Metrics | None = None
) -> list[Key]:
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

    workers = Workers(queue, reconcile, metrics or Metrics(), 1)
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


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        pytest.param(Again(), "success", id="at rest"),
        pytest.param(Again(after_s=0.0), "requeue_after", id="at once"),
        pytest.param(Again(after_s=9.0), "requeue_after", id="later"),
        pytest.param(Again(is_backoff=True), "requeue", id="after a growing pause"),
    ],
)
def test_a_reconcile_is_counted_in_the_words_of_controller_runtime(
    answer: Again, result: str
) -> None:
    assert result_of(answer) == result


@pytest.mark.parametrize(
    ("fault", "panics"),
    [
        pytest.param(ValueError("ours"), 1, id="a fault of ours"),
        pytest.param(TransportError("no answer"), 0, id="no answer"),
    ],
)
def test_an_error_is_counted_as_one_and_no_worker_stays_active(
    fault: Exception, panics: int
) -> None:
    metrics = Metrics()
    asyncio.run(worked({BAD: [fault]}, rounds=2, metrics=metrics))

    def value(name: str) -> float | None:
        labels = {"controller": "finetunejob"}
        return metrics.registry.get_sample_value(f"controller_runtime_{name}", labels)

    assert value("reconcile_errors_total") == 1
    assert value("reconcile_panics_total") == panics
    assert value("active_workers") == 0
    assert value("max_concurrent_reconciles") == 1


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
