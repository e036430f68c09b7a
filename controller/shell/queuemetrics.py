"""What Prometheus is told of the workqueues, in client-go's names and with its meanings."""

import time
from collections.abc import Callable, Hashable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LABELS = ("name", "controller")
"""Both say the same, as in controller-runtime."""

BUCKETS_S = tuple(10.0**power for power in range(-8, 4))
"""client-go's: 10 ns to 1,000 s."""


class QueueMeter:
    """One queue. Keys by the time since when they wait, and since when they are worked on."""

    def __init__(self, metrics: "QueueMetrics", name: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._waiting: dict[Hashable, float] = {}
        self._working: dict[Hashable, float] = {}
        labels = (name, name)
        self._adds = metrics.adds.labels(*labels)
        self._retries = metrics.retries.labels(*labels)
        self._queued = metrics.queued.labels(*labels)
        self._worked = metrics.worked.labels(*labels)
        metrics.depth.labels(*labels).set_function(lambda: float(len(self._waiting)))
        metrics.unfinished.labels(*labels).set_function(lambda: sum(self._ages_s()))
        metrics.longest.labels(*labels).set_function(lambda: max(self._ages_s(), default=0.0))

    def added(self, key: Hashable) -> None:
        """It waits from now, unless it does already."""
        self._adds.inc()
        self._waiting.setdefault(key, self._clock())

    def taken(self, key: Hashable) -> None:
        """It waits no more."""
        now_s = self._clock()
        self._working[key] = now_s
        self._queued.observe(now_s - self._waiting.pop(key, now_s))

    def done(self, key: Hashable) -> None:
        """It is worked on no more."""
        now_s = self._clock()
        self._worked.observe(now_s - self._working.pop(key, now_s))

    def retried(self) -> None:
        """It comes back after a pause."""
        self._retries.inc()

    def _ages_s(self) -> list[float]:
        now_s = self._clock()
        return [now_s - begun_s for begun_s in self._working.values()]


class QueueMetrics:
    """The families; each queue has its own series in them, from the start."""

    def __init__(
        self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"workqueue_{name}", text, LABELS, registry=registry)

        def counter(name: str, text: str) -> Counter:
            return Counter(f"workqueue_{name}", text, LABELS, registry=registry)

        def histogram(name: str, text: str) -> Histogram:
            return Histogram(
                f"workqueue_{name}", text, LABELS, registry=registry, buckets=BUCKETS_S
            )

        self.depth = gauge("depth", "Keys that wait.")
        self.adds = counter("adds", "Keys that were added and did not wait yet.")
        self.retries = counter("retries", "Keys that were added to be tried again.")
        self.queued = histogram("queue_duration_seconds", "From a key's add until it is taken.")
        self.worked = histogram("work_duration_seconds", "From a key's taking to its end.")
        self.unfinished = gauge(
            "unfinished_work_seconds", "Of the keys that are worked on now, all together."
        )
        self.longest = gauge(
            "longest_running_processor_seconds", "Of the key that is worked on longest."
        )

    def meter(self, name: str) -> QueueMeter:
        """For the queue of that name."""
        return QueueMeter(self, name, self._clock)
