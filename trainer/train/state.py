"""Where a training stands: the JSON part of a checkpoint. Tensors lie beside it."""

from pydantic import Field

from trainer.contract.base import Wire


class TrainState(Wire):
    """Everything the rest of a run depends on, beside weights and optimizer moments.

    The plan of steps, the learning rate and the evaluation schedule are functions of ``step``
    and of what ``fingerprint`` names, so ``step`` is also the data cursor.
    """

    fingerprint: str = Field(description="Settings and data; another one is another training.")
    precision: str
    device: str
    micro_tokens: int = Field(description="Tokens computed at a time; halved when memory ran out.")
    threads: int = Field(default=1, description="Of the CPU: sums depend on how they are split.")
    max_steps: int
    step: int = Field(default=0, description="Optimizer steps done.")
    trained_tokens: int = 0
    seconds: float = Field(default=0, description="Spent in training, over all attempts.")
    step_seconds: float = Field(default=0, description="Of these in optimizer steps.")
    evaluation_s: float = Field(
        default=0, description="Estimated time of the tuned arm, by the attempt that timed others."
    )
    evaluated_step: int = 0
    best_step: int = 0
    best_loss: float | None = None
    last_loss: float | None = Field(default=None, description="Of the newest evaluation.")
    stale_evaluations: int = Field(default=0, description="Evaluations since the best one.")
    stopped_early: bool = False
    first_loss: float | None = Field(default=None, description="Of the first step.")
    exploded: int = Field(default=0, description="Steps in a row whose loss was far too high.")
    good_step: int = Field(default=0, description="Newest step whose adapter gave a sound loss.")
    rng: str = Field(default="", description="State of torch's CPU generator, hexadecimal.")
    device_rng: str = Field(default="", description="The same of the GPU's generator.")
