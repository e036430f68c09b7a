"""The operator's metrics in one registry of its own.

Names of controller-runtime and workqueue where they exist, so that dashboards and alerts made for
other operators find them; ``tunekeeper_*`` for the rest.
"""

from importlib.metadata import version
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from controller.api.finetunejob import FineTuneJob
from controller.api.status import FineTuneJobStatus, Trigger
from controller.shell.fleet import Fleet
from controller.shell.happened import has_run_begun, has_run_ended, word_on_promotion
from controller.shell.watched import BaseModels

CONTROLLERS = ("finetunejob", "basemodel")
"""The two loops, by the kind that each works on."""

Result = Literal["success", "requeue", "error"]

RECONCILE_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
RUN_BUCKETS_S = (60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 3 * 86400)


class Metrics:
    """What the shell tells as it happens; rendered on request."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._fleet = Fleet()
        self.registry.register(self._fleet)
        self.base_models = BaseModels()
        self._namespaces: set[str] = set()
        self.registry.register(self.base_models)
        self._reconciles = self._counter(
            "controller_runtime_reconcile", "Reconciles by result.", "controller", "result"
        )
        for controller in CONTROLLERS:  # a rate needs the series before its first event
            for result in get_args(Result):
                self._reconciles.labels(controller, result)
        self._seconds = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Time of one reconcile.",
            ("controller",),
            buckets=RECONCILE_BUCKETS_S,
            registry=self.registry,
        )
        self._depth = self._gauge("workqueue_depth", "Keys that wait.", "name")
        self._leader = self._gauge("tunekeeper_leader", "1: this process leads.")
        self._leader.set(0)
        self._writes = self._counter(
            "tunekeeper_writes", "Writes to the API server.", "verb", "kind"
        )
        self._stages = self._counter("tunekeeper_stages_started", "Stages started.", "stage")
        self._runs = self._counter(
            "tunekeeper_runs",
            "Runs that ended, by verdict or failure class.",
            "namespace",
            "result",
        )
        self._starts = self._counter(
            "tunekeeper_runs_started", "Runs that began, by what made them.", "namespace", "trigger"
        )
        self._promotions = self._counter(
            "tunekeeper_promotions",
            "Words on whether an adapter is used, by reason: promoted, rolled back or why not.",
            "namespace",
            "reason",
        )
        self._run_seconds = Histogram(
            "tunekeeper_run_duration_seconds",
            "From the record of a run to its end, waits included.",
            buckets=RUN_BUCKETS_S,
            registry=self.registry,
        )
        self._watch_age = self._gauge(
            "tunekeeper_watch_age_seconds", "Since the API server last spoke of it.", "resource"
        )
        self._relists = self._counter("tunekeeper_relists", "Full lists.", "resource")
        build = self._gauge("tunekeeper_build_info", "Version of this process.", "version")
        build.labels(version("tunekeeper")).set(1)

    def render(self) -> bytes:
        """The text format."""
        return generate_latest(self.registry)

    def reconciled(self, controller: str, result: Result, seconds: float) -> None:
        """One reconcile is over."""
        self._reconciles.labels(controller, result).inc()
        self._seconds.labels(controller).observe(seconds)

    def published(self, job: FineTuneJob) -> None:
        """The object's status, as it is stored now."""
        self._fleet.put(job)
        self._know(job.metadata.namespace)

    def _know(self, namespace: str) -> None:
        """A rate needs the series before its first event."""
        if namespace in self._namespaces:
            return
        self._namespaces.add(namespace)
        for trigger in get_args(Trigger):
            self._starts.labels(namespace, trigger)

    def forgotten(self, namespace: str, name: str) -> None:
        """The object is gone."""
        self._fleet.remove((namespace, name))

    def changed(self, job: FineTuneJob, before: FineTuneJobStatus) -> None:
        """The status that was just stored is another than before: count what happened."""
        run = job.status.run
        if run is not None and has_run_begun(before, job.status):
            self._starts.labels(job.metadata.namespace, run.trigger).inc()
        if has_run_ended(before, job.status):
            self._run_ended(job)
        reason = word_on_promotion(before, job.status)
        if reason is not None:
            self._promotions.labels(job.metadata.namespace, reason.value).inc()

    def leading(self, is_leader: bool) -> None:
        """Whether this process leads; only the leader tells of the jobs."""
        self._leader.set(int(is_leader))
        if not is_leader:
            self._fleet.clear()
            self.base_models.clear()

    def stage_started(self, stage: str) -> None:
        """A stage's Job was created."""
        self._stages.labels(stage).inc()

    def write(self, verb: str, kind: str) -> None:
        """A write to the API server succeeded."""
        self._writes.labels(verb, kind).inc()

    def set_queue_depth(self, controller: str, n: int) -> None:
        """Keys that wait now."""
        self._depth.labels(controller).set(n)

    def set_watch_age(self, resource: str, seconds: float) -> None:
        """Since the server last said anything of the resource."""
        self._watch_age.labels(resource).set(seconds)

    def relisted(self, resource: str) -> None:
        """A full list was made."""
        self._relists.labels(resource).inc()

    def _run_ended(self, job: FineTuneJob) -> None:
        run = job.status.run
        if run is None:
            return
        self._runs.labels(job.metadata.namespace, run.failure or run.verdict).inc()
        if run.start_time is not None and run.end_time is not None:
            self._run_seconds.observe((run.end_time - run.start_time).total_seconds())

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)
