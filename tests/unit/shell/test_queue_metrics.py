"""A workqueue counted as client-go counts its own."""

import asyncio
from types import SimpleNamespace

from prometheus_client import CollectorRegistry

from controller.kube.workqueue import WorkQueue
from controller.shell.queuemetrics import QueueMetrics

LABELS = {"name": "q", "controller": "q"}


class Scene:
    """A queue on a clock of the test, and what is scraped of it."""

    def __init__(self):
        self.registry = CollectorRegistry()
        self.clock = SimpleNamespace(now=0.0)
        metrics = QueueMetrics(self.registry, lambda: self.clock.now)
        self.queue = WorkQueue(meter=metrics.meter("q"))

    def value(self, name):
        return self.registry.get_sample_value(f"workqueue_{name}", LABELS)

    def told(self, *names):
        return [self.value(name) for name in names]

    def take(self):
        return asyncio.run(self.queue.get())


def test_a_key_is_timed_in_the_queue_and_in_work():
    scene = Scene()
    scene.queue.add("a")
    scene.clock.now = 3.0
    assert scene.told("depth", "adds_total") == [1, 1]
    scene.take()
    scene.clock.now = 5.0
    assert scene.told("depth", "queue_duration_seconds_sum") == [0, 3]
    assert scene.told("unfinished_work_seconds", "longest_running_processor_seconds") == [2, 2]
    scene.queue.done("a")
    assert scene.told("work_duration_seconds_sum", "unfinished_work_seconds") == [2, 0]


def test_a_key_that_waits_already_is_not_added_and_its_wait_goes_on():
    scene = Scene()
    scene.queue.add("a")
    scene.clock.now = 4.0
    scene.queue.add("a")
    scene.take()
    assert scene.told("adds_total", "queue_duration_seconds_sum") == [1, 4]


def test_a_key_added_while_it_is_worked_on_waits_from_then():
    scene = Scene()
    scene.queue.add("a")
    scene.take()
    scene.queue.add("a")
    scene.clock.now = 2.0
    scene.queue.done("a")
    scene.take()
    assert scene.told("adds_total", "queue_duration_seconds_sum") == [2, 2]


def test_of_several_in_work_all_are_summed_and_the_oldest_is_told():
    scene = Scene()
    for key in ("a", "b"):
        scene.queue.add(key)
        scene.take()
        scene.clock.now += 1.0
    assert scene.told("unfinished_work_seconds", "longest_running_processor_seconds") == [3, 2]


def test_retries_are_those_that_were_added_rate_limited():
    async def scenario():
        scene = Scene()
        scene.queue.add_rate_limited("a")
        scene.queue.add_after("b", 1.0)
        scene.queue.shut_down()
        return scene.value("retries_total")

    assert asyncio.run(scenario()) == 1
