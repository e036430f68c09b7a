"""What Prometheus is told of a stage under way.

Which job, run and stage it is stands on the pod, whose labels the scrape adds; a process could
say anything. Read at each scrape, so that nothing is kept twice.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from trainer.progress import ProgressTracker
from trainer.watchdog import Standstill, stall_seconds

PREFIX = "tunekeeper_trainer"

GAUGES: Mapping[str, tuple[str, str]] = {
    "progress_percent": ("percent", "Of the whole stage, by estimated work."),
    "eta_seconds": ("eta_seconds", "Until the stage ends."),
    "step": ("step", "Optimizer steps done."),
    "max_steps": ("max_steps", "The last optimizer step."),
    "train_loss_nats": ("train_loss", "Nats per supervised token, of the last step."),
    "initial_loss_nats": ("initial_loss", "Nats per supervised token, of the first step."),
    "eval_loss_nats": ("eval_loss", "Nats per supervised token, on the validation rows."),
    "tokens_per_second": ("tokens_per_second", "Non-padding tokens, over all steps."),
    "step_seconds": ("step_seconds", "Time of the last optimizer step."),
    "mfu_ratio": ("mfu", "Model FLOPs utilisation: of the device's dense BF16 peak."),
    "learning_rate": ("learning_rate", "Of the last optimizer step."),
    "gradient_norm": ("gradient_norm", "Of the gradient of the last step, before clipping."),
    "gpu_memory_bytes": ("gpu_memory_bytes", "GPU memory that rank 0 holds now; 0 on a CPU."),
    "gpu_memory_peak_bytes": (
        "gpu_memory_peak_bytes",
        "The most GPU memory that rank 0 had in use.",
    ),
    "checkpoint_period_seconds": ("checkpoint_period_s", "How often a checkpoint is due."),
}
"""Metric -> figure, and what it says; one that is not known yet has no series."""

MADE_HERE: Mapping[str, str] = {
    "checkpoint_age_seconds": "Since the newest checkpoint, or the start; while it trains.",
    "silence_seconds": "Since the stage last gave a sign of life, as of the scrapes.",
    "silence_limit_seconds": "Silence after which its watchdog ends it.",
    "activity": "1: what the stage is at.",
}
COUNTERS: Mapping[str, str] = {
    "tokens": "Non-padding tokens trained on, those of earlier attempts included."
}


@dataclass(eq=False)  # a registry wants it hashable
class StageMetrics(Collector):
    """Reads the tracker and the pulse."""

    tracker: ProgressTracker
    still: Standstill
    clock: Callable[[], float] = time.monotonic

    def collect(self) -> Iterator[Metric]:
        """What is known now."""
        now, figures = self.tracker.snapshot(), self.tracker.figures()
        for name, (field, _) in GAUGES.items():
            value = figures[field] if field in figures else getattr(now, field)
            if value is not None:
                yield self._gauge(name, value)
        age_s = self.tracker.checkpoint_age_s()
        if age_s is not None:
            yield self._gauge("checkpoint_age_seconds", age_s)
        yield self._gauge("silence_seconds", self.still.silent_s(self.clock()))
        yield self._gauge("silence_limit_seconds", self.still.limit_s)
        if now.activities:
            activity = GaugeMetricFamily(
                f"{PREFIX}_activity", MADE_HERE["activity"], labels=("activity",)
            )
            activity.add_metric((now.activities[-1].name,), 1)
            yield activity
        if figures["tokens"] is not None:
            yield CounterMetricFamily(
                f"{PREFIX}_tokens", COUNTERS["tokens"], value=figures["tokens"]
            )

    @staticmethod
    def _gauge(name: str, value: float) -> Metric:
        text = MADE_HERE[name] if name in MADE_HERE else GAUGES[name][1]
        return GaugeMetricFamily(f"{PREFIX}_{name}", text, value=value)


def stage_registry(tracker: ProgressTracker) -> CollectorRegistry:
    """A registry of one stage, and of its process's memory and CPU."""
    registry = CollectorRegistry()
    registry.register(StageMetrics(tracker, Standstill(stall_seconds(tracker.request))))
    ProcessCollector(registry=registry)
    return registry
