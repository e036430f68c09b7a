"""What Prometheus is told of each FineTuneJob: made from the statuses as they are stored.

A collector rather than gauges: an object's series go with the object, and a scrape never sees
half of an update. Label ``finetunejob``, since ``job`` is Prometheus' own.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from controller.api.conditions import ConditionType
from controller.api.finetunejob import FineTuneJob
from controller.api.status import FineTuneJobStatus
from controller.core.conditions import State, find
from controller.kube.objects import Key

JOB = ("namespace", "finetunejob")


@dataclass(frozen=True)
class Family:
    """One metric per job; ``label`` tells its values apart where there are several."""

    help: str
    label: str = ""


FAMILIES: Mapping[str, Family] = {
    "phase": Family("1: the job is in this phase.", "phase"),
    "progress_percent": Family("Of the stage under way, by estimated work."),
    "train_loss": Family("Nats per supervised token, while it trains."),
    "eval_loss": Family("Nats per supervised token on the validation rows, while it trains."),
    "tokens_per_second": Family("Non-padding tokens, while it trains."),
    "eta_seconds": Family("Until the stage under way ends."),
    "score": Family("Mean score on the frozen test split, 0 to 1.", "arm"),
    "delta": Family("Tuned minus the hardest competitor that gates: estimate, low, high.", "bound"),
    "verdict": Family("1: what the newest judgement said.", "verdict"),
    "gpu_seconds": Family("GPU time of all attempts."),
    "promoted_sequence": Family("How often the adapter in use was changed."),
    "promoted": Family("1: what the spec asks to be in use is; 0: it is not, and why.", "reason"),
    "base_model_behind": Family("1: its base model has a newer revision than its run."),
    "last_retrain_timestamp_seconds": Family("When a moved base model last made a new run."),
}

Sample = tuple[str, str, float]
"""Family, value of its own label, value."""


NO_PHASE: tuple[Sample, ...] = tuple(("phase", state.value, 0.0) for state in State)
PHASES: Mapping[str, tuple[Sample, ...]] = {
    here: tuple(("phase", state.value, float(state.value == here)) for state in State)
    for here in State
}
"""The same six samples for every job of a phase, not six of its own."""


class Fleet(Collector):
    """The jobs of the operator that leads; a standby knows none."""

    def __init__(self) -> None:
        self._samples: dict[Key, tuple[Sample, ...]] = {}
        self._phases: dict[Key, str] = {}

    def put(self, job: FineTuneJob) -> None:
        """The job as it is stored now."""
        key = (job.metadata.namespace, job.metadata.name)
        self._samples[key] = tuple(samples(job.status))
        self._phases[key] = job.status.phase or State.PENDING.value

    def remove(self, key: Key) -> None:
        """The job is gone, and its series with it."""
        self._samples.pop(key, None)
        self._phases.pop(key, None)

    def clear(self) -> None:
        """This process leads no more."""
        self._samples.clear()
        self._phases.clear()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every family with the samples of every job."""
        yield phases(self._phases)
        metrics = {name: empty(name, family) for name, family in FAMILIES.items()}
        for key, known in self._samples.items():
            for name, value_of_label, value in known:
                own = (value_of_label,) if FAMILIES[name].label else ()
                metrics[name].add_metric((*key, *own), value)
        yield from metrics.values()


def empty(name: str, family: Family) -> GaugeMetricFamily:
    """A family without samples."""
    labels = (*JOB, family.label) if family.label else JOB
    return GaugeMetricFamily(f"tunekeeper_job_{name}", family.help, labels=labels)


def phases(known: Mapping[Key, str]) -> GaugeMetricFamily:
    """Jobs per namespace and phase; a phase without jobs is 0 wherever there are jobs at all."""
    metric = GaugeMetricFamily(
        "tunekeeper_jobs", "FineTuneJobs by phase.", labels=("namespace", "phase")
    )
    counts = Counter((namespace, phase) for (namespace, _), phase in known.items())
    for namespace in sorted({namespace for namespace, _ in known}):
        for state in State:
            metric.add_metric((namespace, state.value), counts[namespace, state.value])
    return metric


def samples(status: FineTuneJobStatus) -> Iterator[Sample]:
    """What one status says."""
    yield from PHASES.get(status.phase, NO_PHASE)
    yield from of_progress(status)
    yield from of_evaluation(status)
    yield "gpu_seconds", "", status.cost.gpu_seconds if status.cost else 0.0
    yield from of_base_model(status)
    yield from of_promotion(status)


def of_progress(status: FineTuneJobStatus) -> Iterator[Sample]:
    """Where the stage under way stands; nothing when none is."""
    progress = status.progress
    if progress is None:
        return
    yield "progress_percent", "", float(progress.percent)
    figures = {
        "train_loss": progress.train_loss,
        "eval_loss": progress.eval_loss,
        "tokens_per_second": progress.tokens_per_second,
        "eta_seconds": progress.eta_seconds,
    }
    yield from known_samples((name, "", value) for name, value in figures.items())


def of_evaluation(status: FineTuneJobStatus) -> Iterator[Sample]:
    """Scores, gain and verdict of the newest judgement."""
    judged = status.evaluation
    if judged is None:
        return
    for arm in judged.arms:
        yield "score", arm.name, arm.score
    bounds = {"estimate": judged.delta, "low": judged.ci_low, "high": judged.ci_high}
    yield from known_samples(("delta", bound, value) for bound, value in bounds.items())
    yield "verdict", judged.verdict.value, 1.0


def of_base_model(status: FineTuneJobStatus) -> Iterator[Sample]:
    """How the run stands to its base model; nothing before that is known."""
    current = find(status.conditions, ConditionType.BASE_MODEL_CURRENT)
    if current is not None and current.status != "Unknown":
        yield "base_model_behind", "", float(current.status == "False")
    if status.last_retrain_time is not None:
        yield "last_retrain_timestamp_seconds", "", status.last_retrain_time.timestamp()


def of_promotion(status: FineTuneJobStatus) -> Iterator[Sample]:
    """What is in use, and what the newest word about that was."""
    yield "promoted_sequence", "", float(status.promoted.sequence if status.promoted else 0)
    said = find(status.conditions, ConditionType.PROMOTED)
    if said is not None:
        yield "promoted", said.reason.value, float(said.status == "True")


def known_samples(found: Iterable[tuple[str, str, float | None]]) -> Iterator[Sample]:
    """Those that have a value."""
    for name, label, value in found:
        if value is not None:
            yield name, label, float(value)
