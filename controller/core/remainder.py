"""What is left of a run's deadline and budget: one number of seconds for its next attempt.

The deadline counts the time in which attempts at any stage worked, the budget the GPU-seconds of
attempts to train; both count failed attempts and disruptions. What was used is in the status, so
the remainder of an attempt is smaller than that of every attempt before it.
"""

import math
from dataclasses import dataclass

from controller.api.finetunejob import FineTuneJob, FineTuneJobSpec
from controller.api.status import FineTuneJobStatus, RunLimits
from trainer.contract.failures import FailureClass
from trainer.contract.limit import LimitClass, SoftLimit
from trainer.contract.request import Stage

MIN_RESERVE_S = 300
RESERVE_SHARE = 0.2
"""Of the remainder, beyond it: for what the estimate of the evaluation's time got wrong."""
MIN_LEFT_S = 1.0
"""With less, nothing is started."""


@dataclass(frozen=True)
class Left:
    """The narrower limit; negative seconds: it was passed."""

    seconds: float
    failure: LimitClass

    @property
    def is_spent(self) -> bool:
        """Whether no attempt may start any more."""
        return self.seconds < MIN_LEFT_S


def limits_of(spec: FineTuneJobSpec) -> RunLimits | None:
    """Both limits; None: there is neither."""
    limits = RunLimits(
        active_deadline_seconds=spec.active_deadline_seconds,
        max_gpu_seconds=spec.budget.max_gpu_seconds,
    )
    return None if limits == RunLimits() else limits


def left(
    limits: RunLimits | None, status: FineTuneJobStatus, stage: Stage, *, gpus: int
) -> Left | None:
    """What an attempt at the stage may still use; None: there is no limit."""
    limits, run = limits or RunLimits(), status.run
    found: list[Left] = []
    if limits.active_deadline_seconds is not None:
        used_s = run.active_seconds if run is not None else 0.0
        rest_s = limits.active_deadline_seconds - used_s
        found.append(Left(rest_s, FailureClass.DEADLINE_EXCEEDED))
    if limits.max_gpu_seconds is not None and stage is Stage.TRAIN and gpus:
        used = status.cost.gpu_seconds if status.cost is not None else 0.0
        rest_s = (limits.max_gpu_seconds - used) / gpus
        found.append(Left(rest_s, FailureClass.BUDGET_EXCEEDED))
    return min(found, key=lambda each: each.seconds, default=None)


def left_now(job: FineTuneJob, status: FineTuneJobStatus, stage: Stage) -> Left | None:
    """The same under the limits that the spec has now."""
    return left(limits_of(job.spec), status, stage, gpus=job.spec.compute.gpus)


def soft_limit(job: FineTuneJob, status: FineTuneJobStatus, stage: Stage) -> SoftLimit | None:
    """What the attempt is told. A judge is told nothing: it decides on what was paid for."""
    rest = left_now(job, status, stage)
    if rest is None or stage is Stage.JUDGE:
        return None
    return SoftLimit(seconds=max(1, math.floor(rest.seconds)), failure=rest.failure)


def backstop_s(job: FineTuneJob, status: FineTuneJobStatus, stage: Stage) -> int | None:
    """When an attempt that does not heed its limit is ended; a judge always has the reserve."""
    rest = left_now(job, status, stage)
    if rest is None:
        return None
    seconds = max(0, math.floor(rest.seconds))
    return seconds + reserve_s(seconds)


def reserve_s(seconds: int) -> int:
    """Time beyond the remainder to answer, read the general text and publish."""
    return max(MIN_RESERVE_S, math.ceil(RESERVE_SHARE * seconds))


def is_raised(job: FineTuneJob) -> bool:
    """Whether a run that a limit cut short may train on: it has more now than it had then."""
    run, gpus = job.status.run, job.spec.compute.gpus
    if run is None or not run.partial:
        return False
    before = left(run.limits, job.status, Stage.TRAIN, gpus=gpus)
    after = left_now(job, job.status, Stage.TRAIN)
    if after is None or before is None:
        return after is None and before is not None
    return after.seconds > before.seconds and not after.is_spent
