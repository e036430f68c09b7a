"""The answer to ``GET /progress``."""

from pydantic import Field

from trainer.contract.base import Wire
from trainer.contract.request import Stage


class ActivityProgress(Wire):
    """One part of a stage's work: an arm, the training, a file being read."""

    name: str = Field(max_length=80)
    done: int = Field(ge=0)
    total: int = Field(ge=0, description="0: not known yet.")
    unit: str = Field(max_length=20, description="rows, steps, answers, bytes, tokens.")
    seconds: float = Field(ge=0, description="Time spent on it by this attempt.")


class Progress(Wire):
    """Where a stage stands."""

    uid: str = Field(max_length=64, description="Of the job; the poller compares it.")
    pod_uid: str = Field(
        default="", max_length=64, description="Of the pod that answers; empty for a process."
    )
    run: int
    stage: Stage
    attempt: int
    percent: float = Field(ge=0, le=100, description="Of the whole stage, by estimated work.")
    eta_seconds: float | None = Field(default=None, description="Of the whole stage.")
    step: int = 0
    max_steps: int = 0
    train_loss: float | None = None
    eval_loss: float | None = None
    tokens_per_second: float | None = None
    mfu: float | None = Field(
        default=None, description="Model FLOPs utilisation, where the GPU's peak is known."
    )
    learning_rate: float | None = Field(default=None, description="Of the last optimizer step.")
    gradient_norm: float | None = Field(default=None, description="Of that step, before clipping.")
    activities: list[ActivityProgress] = Field(
        default=[], max_length=24, description="In order; the last one is under way."
    )
