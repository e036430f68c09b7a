"""An event loop that stands still is measured, told with its place, and in the end unwell."""

import asyncio
import logging
import threading
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from controller.shell.pulse import MOST_LOST_S, PERIOD_S, LoopMetrics, Pulse, Watchdog

LIMIT_S = 10.0
PATIENCE_S = 10.0


class Scene:
    """A pulse on a clock of the test."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.registry = CollectorRegistry()
        self.pulse = Pulse(LIMIT_S, LoopMetrics(self.registry), lambda: self.now_s)
        self.watchdog = Watchdog(self.pulse)

    def stands_still(self, late_s: float) -> None:
        """The loop turns so much later than it should."""
        self.now_s += PERIOD_S + late_s
        self.pulse.beat()

    def turns(self, seconds: int) -> None:
        for _ in range(seconds):
            self.stands_still(0.0)

    def value(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"tunekeeper_event_loop_{name}")


@pytest.mark.parametrize(
    ("late_s", "stalls"),
    [(0.0, 0), (LIMIT_S - 1, 0), (LIMIT_S, 1)],
    ids=["in time", "late", "a stall"],
)
def test_every_beat_is_measured_and_a_long_stall_is_counted(late_s: float, stalls: int) -> None:
    scene = Scene()
    scene.stands_still(late_s)
    assert scene.value("lag_seconds_sum") == late_s
    assert scene.value("lag_seconds_count") == 1
    assert scene.value("stalls_total") == stalls


def test_the_stack_is_told_while_the_loop_stands_still_and_again_when_it_is_twice_as_long(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene()
    told = []
    with caplog.at_level(logging.ERROR):
        for passed_s in range(1, 45):
            scene.now_s = PERIOD_S + passed_s
            scene.watchdog.look()
            told += [passed_s] if len(caplog.records) > len(told) else []
    assert told == [10, 20, 40]
    assert "has not turned for 10.0 s" in caplog.messages[0]
    assert "test_the_stack_is_told_while" in caplog.messages[0]


def test_a_second_stall_is_told_as_soon_as_the_first_was(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    scene.now_s = PERIOD_S + 30
    scene.watchdog.look()
    scene.pulse.beat()
    scene.watchdog.look()
    scene.now_s += PERIOD_S + LIMIT_S
    scene.watchdog.look()
    told = [message.partition(";")[0] for message in caplog.messages if "not turned" in message]
    assert told == [
        "the event loop has not turned for 30.0 s",
        "the event loop has not turned for 10.0 s",
    ]


def one_long(scene: Scene) -> None:
    scene.stands_still(31.0)


def many_short(scene: Scene) -> None:
    for _ in range(10):
        scene.stands_still(4.0)


def one_short(scene: Scene) -> None:
    scene.stands_still(29.0)


def over_now(scene: Scene) -> None:
    scene.stands_still(50.0)
    scene.turns(60)


def still_standing(scene: Scene) -> None:
    scene.now_s += PERIOD_S + 31.0


def a_little_late(scene: Scene) -> None:
    for _ in range(100):
        scene.stands_still(0.9)


@pytest.mark.parametrize(
    ("play", "is_unwell"),
    [
        pytest.param(one_long, True, id="for most of a minute"),
        pytest.param(many_short, True, id="over and over"),
        pytest.param(still_standing, True, id="and does still"),
        pytest.param(one_short, False, id="once"),
        pytest.param(over_now, False, id="more than a minute ago"),
        pytest.param(a_little_late, False, id="never, only slowed by much work"),
    ],
)
def test_a_loop_that_stood_still_for_most_of_the_last_minute_is_unwell(
    play: Callable[[Scene], None], is_unwell: bool
) -> None:
    scene = Scene()
    play(scene)
    assert (scene.pulse.lost_s() > MOST_LOST_S) is is_unwell


def test_a_loop_that_is_really_blocked_is_told_by_the_thread_with_its_place() -> None:
    told = threading.Event()
    messages: list[str] = []

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())
            told.set()

    def blocks_the_loop() -> None:
        assert told.wait(PATIENCE_S), "nobody told that the loop stands still"

    async def scenario() -> None:
        pulse = Pulse(0.05, LoopMetrics(CollectorRegistry()))
        with Watchdog(pulse):
            blocks_the_loop()

    logger = logging.getLogger("controller.shell.pulse")
    handler = Told()
    logger.addHandler(handler)
    try:
        asyncio.run(scenario())
    finally:
        logger.removeHandler(handler)
    assert "blocks_the_loop" in messages[0]
