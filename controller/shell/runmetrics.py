"""Counts of what happened to runs: begun, waited in line, ended, promoted or not.

Every series of a namespace is there from the moment that a job is seen in it: a rate needs it
before its first event.
"""

import time
from collections.abc import Callable
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram

from controller.api.finetunejob import FineTuneJob
from controller.api.status import FineTuneJobStatus, Trigger
from controller.core.conditions import State
from controller.kube.objects import Key
from controller.shell.happened import (
    WORDS_ON_PROMOTION,
    has_run_begun,
    has_run_ended,
    word_on_promotion,
)
from trainer.contract.failures import FailureClass
from trainer.contract.verdict import Verdict

RUN_BUCKETS_S = (60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 3 * 86400)
WAIT_BUCKETS_S = (1, 10, 60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400)

SUCCEEDED, FAILED = State.SUCCEEDED.value, State.FAILED.value
ENDS = (*((SUCCEEDED, v.value) for v in Verdict), *((FAILED, c.value) for c in FailureClass))
"""Result and reason of every way in which a run can end."""


class RunMetrics:
    """Of every run of the operator that leads."""

    def __init__(
        self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._queued_at: dict[Key, float] = {}
        self._namespaces: set[str] = set()
        self._begun = Counter(
            "tunekeeper_runs_started",
            "Runs that began, by what made them.",
            ("namespace", "trigger"),
            registry=registry,
        )
        self._ended = Counter(
            "tunekeeper_runs",
            "Runs that ended, by result, and by verdict or failure class.",
            ("namespace", "result", "reason"),
            registry=registry,
        )
        self._promotions = Counter(
            "tunekeeper_promotions",
            "Words on whether an adapter is used, by reason: promoted, rolled back or why not.",
            ("namespace", "reason"),
            registry=registry,
        )
        self._seconds = Histogram(
            "tunekeeper_run_duration_seconds",
            "From the record of a run to its end, waits included.",
            buckets=RUN_BUCKETS_S,
            registry=registry,
        )
        self._waits = Histogram(
            "tunekeeper_run_queue_seconds",
            "In line for a slot, each time a run went on; one that did not wait counts as 0.",
            buckets=WAIT_BUCKETS_S,
            registry=registry,
        )

    def seen(self, job: FineTuneJob) -> None:
        """The object as it is stored now. A wait is counted from when this leader saw it first."""
        meta = job.metadata
        self._show(meta.namespace)
        if job.status.phase == State.QUEUED:
            self._queued_at.setdefault((meta.namespace, meta.name), self._clock())

    def changed(self, job: FineTuneJob, before: FineTuneJobStatus) -> None:
        """The status that was just stored is another than before."""
        run, namespace = job.status.run, job.metadata.namespace
        is_new = has_run_begun(before, job.status)
        if is_new and run is not None:
            self._begun.labels(namespace, run.trigger).inc()
        self._count_wait(job, is_new=is_new)
        if has_run_ended(before, job.status):
            self._count_end(job)
        word = word_on_promotion(before, job.status)
        if word is not None:
            self._promotions.labels(namespace, word.value).inc()

    def forgotten(self, key: Key) -> None:
        """The object is gone."""
        self._queued_at.pop(key, None)

    def clear(self) -> None:
        """This process leads no more."""
        self._queued_at.clear()

    def _show(self, namespace: str) -> None:
        if namespace in self._namespaces:
            return
        self._namespaces.add(namespace)
        for trigger in get_args(Trigger):
            self._begun.labels(namespace, trigger)
        for end in ENDS:
            self._ended.labels(namespace, *end)
        for word in WORDS_ON_PROMOTION:
            self._promotions.labels(namespace, word.value)

    def _count_wait(self, job: FineTuneJob, *, is_new: bool) -> None:
        meta, phase = job.metadata, job.status.phase
        if phase == State.QUEUED:
            return
        since_s = self._queued_at.pop((meta.namespace, meta.name), None)
        if phase in (State.PENDING, State.RUNNING) and (is_new or since_s is not None):
            self._waits.observe(0.0 if since_s is None else self._clock() - since_s)

    def _count_end(self, job: FineTuneJob) -> None:
        run = job.status.run
        if run is None:
            return
        result = FAILED if run.failure else SUCCEEDED
        self._ended.labels(job.metadata.namespace, result, run.failure or run.verdict).inc()
        if run.start_time is not None and run.end_time is not None:
            took_s = (run.end_time - run.start_time).total_seconds()
            self._seconds.observe(max(0.0, took_s))  # clocks may go back
