"""The operator's metrics in one registry of its own.

Names of controller-runtime and workqueue where they exist, so that dashboards and alerts made for
other operators find them; ``tunekeeper_*`` for the rest.
"""

from collections.abc import Callable
from importlib.metadata import version
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from controller.api.finetunejob import FineTuneJob
from controller.api.status import FineTuneJobStatus
from controller.shell.controllermetrics import ControllerMetrics
from controller.shell.fleet import Fleet
from controller.shell.queuemetrics import QueueMetrics
from controller.shell.runmetrics import RunMetrics
from controller.shell.watched import BaseModels
from trainer.contract.errand import Errand
from trainer.contract.request import Stage


class Metrics:
    """What the shell tells as it happens; rendered on request."""

    def __init__(
        self, lease_name: str = "tunekeeper", clock: Callable[[], float] = monotonic
    ) -> None:
        self.registry = CollectorRegistry()
        self._fleet = Fleet()
        self.registry.register(self._fleet)
        self.base_models = BaseModels()
        self.registry.register(self.base_models)
        for runtime in (ProcessCollector, PlatformCollector, GCCollector):
            runtime(registry=self.registry)
        self.controllers = ControllerMetrics(self.registry)
        self.queues = QueueMetrics(self.registry, clock)
        self._runs = RunMetrics(self.registry, clock)
        self._leader = self._gauge("tunekeeper_leader", "1: this process leads.")
        leads = self._gauge("leader_election_master_status", "1: this process leads.", "name")
        self._leads = leads.labels(lease_name)
        self._writes = self._counter(
            "tunekeeper_writes", "Writes to the API server.", "verb", "kind"
        )
        self._stages = self._counter("tunekeeper_stages_started", "Stages started.", "stage")
        for work in (*Stage, *Errand):  # a rate needs the series before its first event
            self._stages.labels(work.value)
        self._watch_age = self._gauge(
            "tunekeeper_watch_age_seconds", "Since the API server last spoke of it.", "resource"
        )
        self._open = self._gauge(
            "tunekeeper_namespace_open",
            "1: worked in; 0: the controller may not see all of it. Only with watch_namespaces.",
            "namespace",
        )
        self._relists = self._counter("tunekeeper_relists", "Full lists.", "resource")
        build = self._gauge("tunekeeper_build_info", "Version of this process.", "version")
        build.labels(version("tunekeeper")).set(1)

    def render(self) -> bytes:
        """The text format."""
        return generate_latest(self.registry)

    def published(self, job: FineTuneJob) -> None:
        """The object's status, as it is stored now."""
        self._fleet.put(job)
        self._runs.seen(job)

    def forgotten(self, namespace: str, name: str) -> None:
        """The object is gone."""
        self._fleet.remove((namespace, name))
        self._runs.forgotten((namespace, name))

    def changed(self, job: FineTuneJob, before: FineTuneJobStatus) -> None:
        """The status that was just stored is another than before: count what happened."""
        self._runs.changed(job, before)

    def leading(self, is_leader: bool) -> None:
        """Whether this process leads; only the leader tells of the jobs."""
        self._leader.set(int(is_leader))
        self._leads.set(int(is_leader))
        if not is_leader:
            self._fleet.clear()
            self._runs.clear()
            self.base_models.clear()

    def stage_started(self, stage: str) -> None:
        """A stage's Job was created."""
        self._stages.labels(stage).inc()

    def write(self, verb: str, kind: str) -> None:
        """A write to the API server succeeded."""
        self._writes.labels(verb, kind).inc()

    def set_watch_age(self, resource: str, seconds: float) -> None:
        """Since the server last said anything of the resource."""
        self._watch_age.labels(resource).set(seconds)

    def set_namespace_open(self, namespace: str, *, is_open: bool) -> None:
        """Whether everything of a namespace is seen."""
        self._open.labels(namespace).set(int(is_open))

    def relisted(self, resource: str, times: int) -> None:
        """So many full lists were made; 0 shows the series before the first."""
        self._relists.labels(resource).inc(times)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)
