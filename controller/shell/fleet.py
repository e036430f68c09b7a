"""What Prometheus is told of each FineTuneJob: made from the statuses as they are stored.

A collector rather than gauges: an object's series go with the object, and a scrape never sees
half of an update. Label ``finetunejob``, since ``job`` is Prometheus' own.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from controller.api.conditions import ConditionType
from controller.api.finetunejob import FineTuneJob
from controller.api.reasons import Reason
from controller.api.status import FineTuneJobStatus
from controller.core.conditions import State, find
from controller.kube.objects import Key
from trainer.contract.spec import ArmName

JOB = ("namespace", "finetunejob")


@dataclass(frozen=True)
class Family:
    """One metric per job; ``label`` tells its values apart where there are several."""

    help: str
    label: str = ""


FAMILIES: Mapping[str, Family] = {
    "phase": Family("1: the job is in this phase.", "phase"),
    "reason": Family("1: why it is in that phase.", "reason"),
    "run_start_timestamp_seconds": Family("When the newest run began."),
    "run_end_timestamp_seconds": Family("When the newest run ended."),
    "progress_timestamp_seconds": Family("When the stage under way was last heard."),
    "progress_percent": Family("Of the stage under way, by estimated work."),
    "train_loss": Family("Nats per supervised token, while it trains."),
    "eval_loss": Family("Nats per supervised token on the validation rows, while it trains."),
    "tokens_per_second": Family("Non-padding tokens, while it trains."),
    "eta_seconds": Family("Until the stage under way ends."),
    "score": Family("Mean score on the frozen test split, 0 to 1.", "arm"),
    "score_low": Family("Lower limit of the score's interval.", "arm"),
    "score_high": Family("Upper limit of the score's interval.", "arm"),
    "delta": Family("Tuned minus the hardest competitor that gates: estimate, low, high.", "bound"),
    "verdict": Family("1: what the newest judgement said.", "verdict"),
    "best_eval_loss": Family("Nats per token on the validation rows, of the adapter judged."),
    "final_train_loss": Family("Nats per token on training rows, of the adapter judged."),
    "forgetting_nats": Family("By how much general text costs more than before the training."),
    "run_tokens_per_second": Family("Non-padding tokens in training, of the newest run."),
    "gpu_seconds": Family("GPU time of the newest run, all attempts."),
    "wasted_gpu_seconds": Family("GPU time of the newest run in attempts that failed."),
    "cost": Family(
        "Of the newest run, at spec.budget.pricePerGpuHour or the operator's price.", "currency"
    ),
    "base_model_info": Family("1: the BaseModel that the newest run is on.", "basemodel"),
    "promoted_sequence": Family("How often the adapter in use was changed."),
    "promoted": Family("1: what the spec asks to be in use is; 0: it is not, and why.", "reason"),
    "base_model_behind": Family("1: its base model has a newer revision than its run."),
    "last_retrain_timestamp_seconds": Family(
        "When a moved base model last made a new run; 0: never."
    ),
}

Sample = tuple[str, str, float]
"""Family, value of its own label, value."""


NO_PHASE: tuple[Sample, ...] = tuple(("phase", state.value, 0.0) for state in State)
PHASES: Mapping[str, tuple[Sample, ...]] = {
    here: tuple(("phase", state.value, float(state.value == here)) for state in State)
    for here in State
}
"""The same six samples for every job of a phase, not six of its own."""

ARMS = frozenset({*get_args(ArmName), "Tuned", "Promoted"})
"""What a pod tells of others is not passed on: a label's values must be few."""
NO_GPU: Sample = ("gpu_seconds", "", 0.0)
WHY: Mapping[str, Sample] = {reason.value: ("reason", reason.value, 1.0) for reason in Reason}


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
    finished = find(status.conditions, ConditionType.FINISHED)
    if finished is not None:
        yield WHY[finished.reason.value]
    yield from of_run(status)
    yield from of_progress(status)
    yield from of_evaluation(status)
    yield from of_cost(status)
    yield from of_base_model(status)
    yield from of_promotion(status)


def of_run(status: FineTuneJobStatus) -> Iterator[Sample]:
    """When the newest run began and ended, and on which BaseModel it is."""
    run = status.run
    if run is None:
        return
    times = {"run_start": run.start_time, "run_end": run.end_time}
    for name, time in times.items():
        if time is not None:
            yield f"{name}_timestamp_seconds", "", time.timestamp()
    if run.base_model is not None and run.base_model.name:
        yield "base_model_info", run.base_model.name, 1.0


def of_progress(status: FineTuneJobStatus) -> Iterator[Sample]:
    """Where the stage under way stands; nothing when none is."""
    progress = status.progress
    if progress is None:
        return
    yield "progress_percent", "", float(progress.percent)
    if progress.update_time is not None:
        yield "progress_timestamp_seconds", "", progress.update_time.timestamp()
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
    for arm in (each for each in judged.arms if each.name in ARMS):
        yield "score", arm.name, arm.score
        yield "score_low", arm.name, arm.ci_low
        yield "score_high", arm.name, arm.ci_high
    bounds = {"estimate": judged.delta, "low": judged.ci_low, "high": judged.ci_high}
    yield from known_samples(("delta", bound, value) for bound, value in bounds.items())
    yield "verdict", judged.verdict.value, 1.0
    fitted, forgotten = judged.overfitting, judged.forgetting
    figures = {
        "best_eval_loss": fitted.best_validation_loss if fitted else None,
        "final_train_loss": fitted.train_loss if fitted else None,
        "forgetting_nats": forgotten.increase if forgotten else None,
    }
    yield from known_samples((name, "", value) for name, value in figures.items())


def of_cost(status: FineTuneJobStatus) -> Iterator[Sample]:
    """What the newest run took; money where there is a price."""
    cost = status.cost
    if cost is None:
        yield NO_GPU
        return
    yield "gpu_seconds", "", cost.gpu_seconds
    yield "wasted_gpu_seconds", "", cost.wasted_gpu_seconds
    yield from known_samples((("run_tokens_per_second", "", cost.tokens_per_second),))
    if cost.amount is not None:
        yield "cost", cost.currency, float(cost.amount)


def of_base_model(status: FineTuneJobStatus) -> Iterator[Sample]:
    """How the run stands to its base model; nothing before that is known."""
    current = find(status.conditions, ConditionType.BASE_MODEL_CURRENT)
    if current is not None and current.status != "Unknown":
        yield "base_model_behind", "", float(current.status == "False")
    last = status.last_retrain_time
    if last is not None or current is not None:  # from 0 on, or the first one would be no change
        yield "last_retrain_timestamp_seconds", "", last.timestamp() if last else 0.0


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
