"""client-go's rules for the queue. Time is a number that the test moves."""

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.kube.workqueue import ShutDown, WorkQueue


@dataclass(order=True)
class _Alarm:
    at: float
    number: int
    callback: Callable[[], object] = field(compare=False)
    is_cancelled: bool = field(default=False, compare=False)

    def when(self) -> float:
        return self.at

    def cancel(self) -> None:
        self.is_cancelled = True


class _Clock:
    def __init__(self) -> None:
        self.now = 100.0
        self._alarms: list[_Alarm] = []
        self._numbers = count()

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object]) -> _Alarm:
        alarm = _Alarm(when, next(self._numbers), callback)
        heapq.heappush(self._alarms, alarm)
        return alarm

    def pass_(self, seconds: float) -> None:
        self.now += seconds
        while self._alarms and self._alarms[0].at <= self.now:
            alarm = heapq.heappop(self._alarms)
            if not alarm.is_cancelled:
                alarm.callback()


def _queue() -> tuple[WorkQueue[str], _Clock]:
    clock = _Clock()
    return WorkQueue(clock=clock), clock


def _take(queue: WorkQueue[str]) -> str:
    return asyncio.run(queue.get())


def test_a_key_added_twice_waits_once() -> None:
    queue, _ = _queue()
    queue.add("a")
    queue.add("a")
    assert _take(queue) == "a"
    assert len(queue) == 0


def test_a_key_added_while_it_is_worked_on_comes_back_after_done() -> None:
    queue, _ = _queue()
    queue.add("a")
    _take(queue)
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert _take(queue) == "a"
    queue.done("a")
    assert len(queue) == 0


def test_of_several_delays_the_earliest_stands() -> None:
    queue, clock = _queue()
    for delay_s in (10.0, 5.0, 20.0):
        queue.add_after("a", delay_s)
    clock.pass_(4.9)
    assert len(queue) == 0
    clock.pass_(0.2)
    assert _take(queue) == "a"
    queue.done("a")
    clock.pass_(60.0)
    assert len(queue) == 0


def test_a_delay_of_nothing_is_no_delay() -> None:
    queue, _ = _queue()
    queue.add_after("a", 0)
    queue.add_after("b", -1)
    assert len(queue) == 2


def test_failures_double_the_delay_of_their_key_alone_up_to_the_cap() -> None:
    queue, clock = _queue()
    waited = []
    for _ in range(20):
        queue.add_rate_limited("a")
        before = clock.now
        while not len(queue):
            clock.pass_(0.005)
            assert clock.now - before < 61.0
        waited.append(clock.now - before)
        _take(queue)
        queue.done("a")
    assert waited[:4] == pytest.approx([0.005, 0.01, 0.02, 0.04], abs=0.006)
    assert waited[-1] == pytest.approx(60.0, abs=0.01)
    assert queue.failures("a") == 20
    assert queue.failures("b") == 0


def test_forget_ends_the_failures_and_leaves_the_key_in_the_queue() -> None:
    queue, clock = _queue()
    queue.add_rate_limited("a")
    queue.forget("a")
    assert queue.failures("a") == 0
    clock.pass_(0.01)
    assert _take(queue) == "a"


def test_ten_thousand_failures_do_not_overflow() -> None:
    queue, _ = _queue()
    for _ in range(10_000):
        queue.add_rate_limited("a")
    assert queue.failures("a") == 10_000


def test_shutting_down_gives_what_is_ready_and_then_ends_every_taker() -> None:
    async def scenario() -> list[object]:
        queue: WorkQueue[str] = WorkQueue()
        takers = [asyncio.ensure_future(queue.get()) for _ in range(3)]
        await asyncio.sleep(0)
        queue.add("a")
        queue.add_after("late", 0.001)
        queue.shut_down()
        queue.add("b")
        queue.add_after("c", 0)
        return await asyncio.gather(*takers, return_exceptions=True)

    ended = asyncio.run(scenario())
    assert [end for end in ended if not isinstance(end, ShutDown)] == ["a"]


def test_a_delay_passes_by_the_loops_own_clock() -> None:
    async def scenario() -> str:
        queue: WorkQueue[str] = WorkQueue(base_s=0.01)
        queue.add_rate_limited("a")
        async with asyncio.timeout(5):
            return await queue.get()

    assert asyncio.run(scenario()) == "a"


def test_a_taker_that_is_cancelled_takes_nothing_along() -> None:
    async def scenario() -> str:
        queue: WorkQueue[str] = WorkQueue()
        gone = asyncio.ensure_future(queue.get())
        await asyncio.sleep(0)
        queue.add("a")
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        async with asyncio.timeout(5):
            return await queue.get()

    assert asyncio.run(scenario()) == "a"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "after", "limited", "take", "done", "pass"]), st.sampled_from("abc")
    ),
    max_size=60,
)


@settings(deadline=None)  # the machine may be busy
@given(STEPS)
def test_no_key_is_worked_on_twice_at_once_and_none_is_lost(steps: list[tuple[str, str]]) -> None:
    queue, clock = _queue()
    working: set[str] = set()
    owed: set[str] = set()  # added after it was last taken
    for step, key in [*steps, ("pass", "a")]:
        if step == "add":
            queue.add(key)
        elif step == "after":
            queue.add_after(key, 1.0)
        elif step == "limited":
            queue.add_rate_limited(key)
        elif step == "take" and len(queue):
            taken = _take(queue)
            assert taken not in working
            working.add(taken)
            owed.discard(taken)
        elif step == "done" and key in working:
            working.discard(key)
            queue.done(key)
        elif step == "pass":
            clock.pass_(100.0)
        if step in {"add", "after", "limited"}:
            owed.add(key)
    for key in working:
        queue.done(key)
    left = {_take(queue) for _ in range(len(queue))}
    assert owed <= left
