"""What Prometheus is told of the two loops, in controller-runtime's names and with its labels."""

from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

CONTROLLERS = ("finetunejob", "basemodel")
"""The two loops, by the kind that each works on."""

Result = Literal["success", "requeue", "requeue_after", "error"]
"""At rest; again after a pause that grows; again after a time of its own; failed."""

BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class ControllerMetrics:
    """Every series is there from the start: a rate needs it before its first event."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(
                f"controller_runtime_{name}", text, ("controller", *labels), registry=registry
            )

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"controller_runtime_{name}", text, ("controller",), registry=registry)

        self._total = counter("reconcile", "Reconciles by result.", "result")
        self._errors = counter("reconcile_errors", "Reconciles that failed.")
        self._panics = counter("reconcile_panics", "Reconciles that failed by a fault of ours.")
        self._seconds = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Time of one reconcile.",
            ("controller",),
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._active = gauge("active_workers", "Objects that are worked on now.")
        self._most = gauge("max_concurrent_reconciles", "Objects that are worked on at once.")
        for name in CONTROLLERS:
            self._show(name)

    def _show(self, controller: str) -> None:
        for result in get_args(Result):
            self._total.labels(controller, result)
        for metric in (self._errors, self._panics, self._active, self._most, self._seconds):
            metric.labels(controller)

    def has_workers(self, controller: str, count: int) -> None:
        """So many objects may be worked on at once."""
        self._most.labels(controller).set(count)

    def began(self, controller: str) -> None:
        """A worker has taken an object."""
        self._active.labels(controller).inc()

    def ended(self, controller: str) -> None:
        """It has put it down."""
        self._active.labels(controller).dec()

    def reconciled(self, controller: str, result: Result, seconds: float) -> None:
        """One reconcile is over."""
        self._total.labels(controller, result).inc()
        self._seconds.labels(controller).observe(seconds)
        if result == "error":
            self._errors.labels(controller).inc()

    def panicked(self, controller: str) -> None:
        """It failed by a fault of ours; told beside its result."""
        self._panics.labels(controller).inc()
