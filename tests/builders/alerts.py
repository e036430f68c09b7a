"""Cases of the alerts: what was scraped, and what fires of it."""

from collections.abc import Mapping
from dataclasses import dataclass

BASE = {"namespace": "ml", "basemodel": "smol"}
JOB = {"namespace": "ml", "finetunejob": "intents"}
LATE = "10d"


@dataclass(frozen=True)
class Case:
    """What was scraped each 5 minutes, in promtool's notation, and the labels of what fires."""

    series: Mapping[str, str]
    fires: Mapping[str, str] | None = None
    at: str = LATE
    value: str = ""
    """That the text of the alert names."""


def base(name: str, **labels: str) -> str:
    """A series of a BaseModel."""
    return named(f"tunekeeper_basemodel_{name}", BASE | labels)


def job(name: str, **labels: str) -> str:
    """One of a FineTuneJob."""
    return named(f"tunekeeper_job_{name}", JOB | labels)


def pod(name: str, **labels: str) -> str:
    """One of the pod that trains it."""
    of_pod = {"run": "1", "stage": "train", "pod": "intents-train"}
    return named(f"tunekeeper_trainer_{name}", JOB | of_pod | labels)


def gpu(number: int, pod_label: str = "pod", namespace_label: str = "namespace") -> str:
    """The use of a GPU, as dcgm-exporter tells it; the two labels as they were scraped."""
    labels = {namespace_label: "ml", pod_label: "intents-train", "gpu": str(number)}
    return named("DCGM_FI_DEV_GPU_UTIL", labels | {"instance": "node:9400"})


def named(name: str, labels: Mapping[str, str]) -> str:
    """A series with its labels."""
    inner = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{name}{{{inner}}}"


def steady(value: float, minutes: int = 15 * 24 * 60) -> str:
    """The same value for so long."""
    return f"{value:g}x{minutes // 5}"


def in_phase(phase: str, values: str, **others: str) -> dict[str, str]:
    """The phase with these values, the others with theirs or 0."""
    phases = ("Pending", "Queued", "Running", "Suspended", "Succeeded", "Failed")
    given = {name: steady(0) for name in phases} | others | {phase: values}
    return {job("phase", phase=name): each for name, each in given.items()}


ERRORS = "controller_runtime_reconcile_errors_total"
FINETUNEJOBS = {"controller": "finetunejob"}
ON = steady(1)


def failed(reason: str) -> dict[str, str]:
    """A job that has failed for that reason."""
    return {**in_phase("Failed", ON), job("reason", reason=reason): ON}


def trained(**figures: str) -> dict[str, str]:
    """Figures of the pod."""
    return {pod(name): values for name, values in figures.items()}


SILENT = {"silence_seconds": "0 0 300 600x9", "silence_limit_seconds": steady(900)}
SAVED = {"checkpoint_period_seconds": steady(300)}
HEARD = job("progress_timestamp_seconds")
BEGUN = job("run_start_timestamp_seconds")
TRAINS = {pod("progress_percent"): steady(30)}
FIRST = {"initial_loss_nats": steady(2)}
ON_GPU_0 = JOB | {"pod": "intents-train", "gpu": "0"}

JOB_CASES: dict[str, tuple[str, Case]] = {
    "every third reconcile fails": (
        "ReconcileErrors",
        Case({f'{ERRORS}{{controller="finetunejob"}}': "0+10x100"}, FINETUNEJOBS, "2h", "30"),
    ),
    "one conflict in an hour": (
        "ReconcileErrors",
        Case({f'{ERRORS}{{controller="finetunejob"}}': "0x12 1x12 2x12 3x100"}, at="2h"),
    ),
    "another operator fails": (
        "ReconcileErrors",
        Case({f'{ERRORS}{{controller="gitrepository"}}': "0+10x100"}, at="2h"),
    ),
    "no node has a GPU": ("JobPendingTooLong", Case(in_phase("Pending", ON), JOB, "2h")),
    "it waits while the leader changes": (
        "JobPendingTooLong",
        Case(
            {
                job("phase", phase="Pending", instance="a"): "1x7 _x100",
                job("phase", phase="Pending", instance="b"): "_x8 1x100",
            },
            JOB,
            "2h",
        ),
    ),
    "it waits for half an hour": (
        "JobPendingTooLong",
        Case(in_phase("Pending", "1x6 0x100", Running="0x6 1x100"), at="2h"),
    ),
    "it has waited for 50 minutes, all that was seen of it": (
        "JobPendingTooLong",
        Case(in_phase("Pending", ON), at="50m"),
    ),
    "it waits between stages": (
        "JobPendingTooLong",
        Case(in_phase("Pending", " ".join(["1x2 0x2"] * 20)), at="4h"),
    ),
    "a queue is no wait for what is missing": (
        "JobPendingTooLong",
        Case(in_phase("Queued", ON)),
    ),
    "bad data": ("JobFailed", Case(failed("InvalidData"), JOB | {"reason": "InvalidData"}, "1h")),
    "it is judged": (
        "JobFailed",
        Case({**in_phase("Succeeded", ON), job("reason", reason="Reject"): ON}, at="1h"),
    ),
    "the data was mended": (
        "JobFailed",
        Case(
            {
                **in_phase("Failed", "1x3 0x100", Running="0x3 1x100"),
                job("reason", reason="InvalidData"): "1x3 _x100",
                job("reason", reason="Training"): "_x4 1x100",
            },
            at="1h",
        ),
    ),
    "diverged is another alert": ("JobFailed", Case(failed("Diverged"), at="1h")),
    "it hangs": ("JobNotProgressing", Case(trained(**SILENT), JOB, "20m")),
    "it hangs with the interpreter's lock, or cannot be reached": (
        "JobNotProgressing",
        Case({**in_phase("Running", ON), HEARD: "0x100"}, JOB, "1h"),
    ),
    "it was never heard, and Prometheus cannot reach it either": (
        "JobNotProgressing",
        Case({**in_phase("Running", "0x3 1x100", Pending="1x3 0x100"), BEGUN: "0x100"}, JOB, "40m"),
    ),
    "it has just been made, and its image is pulled": (
        "JobNotProgressing",
        Case({job("phase", phase="Running"): "_x5 1x100", BEGUN: "_x5 1500x100"}, at="35m"),
    ),
    "it began minutes ago": (
        "JobNotProgressing",
        Case({**in_phase("Running", "0x5 1x100", Pending="1x5 0x100"), BEGUN: "0x100"}, at="36m"),
    ),
    "one stage ended minutes ago, the next was not heard yet": (
        "JobNotProgressing",
        Case({**in_phase("Running", ON), HEARD: "0+300x4 _x100", BEGUN: "0x100"}, at="29m"),
    ),
    "a long step": (
        "JobNotProgressing",
        Case(trained(**SILENT | {"silence_seconds": "0 300 0 300 0"}), at="20m"),
    ),
    "it loads a large model": (
        "JobNotProgressing",
        Case(trained(**SILENT | {"silence_limit_seconds": steady(3600)}), at="15m"),
    ),
    "it is heard all the time": (
        "JobNotProgressing",
        Case({**in_phase("Running", ON), HEARD: "0+300x100"}, at="1h"),
    ),
    "it was suspended": (
        "JobNotProgressing",
        Case({**in_phase("Suspended", ON), HEARD: "0x100"}, at="1h"),
    ),
    "the loss is no number": (
        "TrainingNaN",
        Case(trained(train_loss_nats="2 1.8 NaN"), JOB, "10m"),
    ),
    "the gradient is no number": (
        "TrainingNaN",
        Case(trained(train_loss_nats="2 1.8 1.7", gradient_norm="1 1 NaN"), JOB, "10m"),
    ),
    "nobody scraped it before it ended": ("TrainingNaN", Case(failed("Diverged"), JOB, "1h")),
    "the numbers are numbers": (
        "TrainingNaN",
        Case(trained(train_loss_nats="2 1.8 9", gradient_norm="1 1 Inf"), at="10m"),
    ),
    "a failure of another kind": ("TrainingNaN", Case(failed("InvalidData"), at="1h")),
    "the loss rises and rises": (
        "TrainingDiverging",
        Case(trained(**FIRST, train_loss_nats="2 2.5 2.8 3 3 3 3"), JOB, "25m", "1.5"),
    ),
    "one odd batch": (
        "TrainingDiverging",
        Case(trained(**FIRST, train_loss_nats="2 1.5 9 1.4 1.3 1.2"), at="25m"),
    ),
    "the loss falls": (
        "TrainingDiverging",
        Case(trained(**FIRST, train_loss_nats="2 1.8 1.5 1.2 1 1"), at="25m"),
    ),
    "the store takes no checkpoint": (
        "CheckpointStale",
        Case(trained(**SAVED, checkpoint_age_seconds="0+300x9"), JOB, "25m", "5"),
    ),
    "a checkpoint each period": (
        "CheckpointStale",
        Case(trained(**SAVED, checkpoint_age_seconds="0 290 0 290 0 290"), at="25m"),
    ),
    "a period of a second and steps of a minute": (
        "CheckpointStale",
        Case(
            trained(checkpoint_period_seconds=steady(1), checkpoint_age_seconds="0 60x10"),
            at="25m",
        ),
    ),
    "it trains no more": (
        "CheckpointStale",
        Case(trained(**SAVED, checkpoint_age_seconds="0 300 600 _x6"), at="30m"),
    ),
    "one of two GPUs does nothing": (
        "GpuIdle",
        Case({**TRAINS, gpu(0): steady(2), gpu(1): steady(90)}, ON_GPU_0, "1h", "2"),
    ),
    "the same where labels are not honored": (
        "GpuIdle",
        Case(
            {**TRAINS, gpu(0, "exported_pod", "exported_namespace"): steady(2)},
            ON_GPU_0,
            "1h",
            "2",
        ),
    ),
    "a GPU at work": ("GpuIdle", Case({**TRAINS, gpu(0): steady(80)}, at="1h")),
    "it waits for data now and then": (
        "GpuIdle",
        Case({**TRAINS, gpu(0): " ".join(["0 90"] * 20)}, at="1h"),
    ),
    "an idle GPU of somebody else": ("GpuIdle", Case({gpu(0): steady(0)}, at="1h")),
}
