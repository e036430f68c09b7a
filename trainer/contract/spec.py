"""How to train, how to judge and what to promote: the spec sections that a stage reads.

One description per field: it becomes the CRD's text and the field table of the docs.
"""

from typing import Annotated, Literal

from pydantic import Field

from trainer.contract.base import Auto, Decimal, Uri, Wire
from trainer.contract.source import Budget, Dataset, Output, PinnedModel

Variant = Literal["LoRA", "RSLoRA", "DoRA"]
Metric = Literal["ExactMatch", "JsonMatch", "TokenF1", "RougeL", "Grader"]
ArmName = Literal["ZeroShot", "FewShot", "RetrievedFewShot", "MajorityLabel", "NearestRow"]
Require = Literal["Better", "NotWorse"]
PositiveAuto = Auto | Annotated[int, Field(ge=1)]


class Lora(Wire):
    """The adapter."""

    rank: int = Field(default=16, ge=1, le=512, description="Rank of the update.")
    alpha: int = Field(default=32, ge=1, le=2048, description="Numerator of its scale.")
    dropout: Decimal = Field(default="0", description="Dropout on the adapter's input.")
    target_modules: list[Annotated[str, Field(max_length=200)]] = Field(
        default=["AllLinear"],
        min_length=1,
        max_length=64,
        description="Modules to adapt; AllLinear = every linear layer but the head.",
    )
    variant: Variant = Field(
        default="LoRA", description="LoRA, RSLoRA (scale by 1/sqrt(rank)) or DoRA."
    )


class EarlyStopping(Wire):
    """When to stop because validation loss no longer falls."""

    patience: int = Field(default=3, ge=0, le=100, description="Evaluations without gain; 0 = off.")
    min_delta: Decimal = Field(default="0", description="Smallest fall that counts.")


class Training(Wire):
    """The optimisation."""

    epochs: PositiveAuto = Field(default="Auto", description="Passes over the training rows.")
    max_steps: int | None = Field(default=None, ge=1, description="Upper bound on optimizer steps.")
    learning_rate: Auto | Decimal = Field(default="Auto", description="Peak learning rate.")
    batch_tokens: PositiveAuto = Field(
        default="Auto", description="Non-padding tokens per optimizer step; Auto: about 100 steps."
    )
    max_sequence_tokens: int = Field(
        default=2048, ge=16, le=1048576, description="Longer rows are cut, counted and reported."
    )
    scheduler: Literal["Cosine", "Linear", "Constant"] = Field(
        default="Cosine", description="Course of the learning rate after the warm-up."
    )
    warmup_percent: int = Field(default=3, ge=0, le=100, description="Share of steps to warm up.")
    weight_decay: Decimal = Field(default="0", description="AdamW's decoupled weight decay.")
    max_grad_norm: Decimal = Field(default="1", description="Gradient norm to clip at; 0 = off.")
    seed: int = Field(default=17, ge=0, le=2147483647, description="Seed of everything random.")
    precision: Literal["Auto", "FP32", "BF16"] = Field(
        default="Auto", description="Arithmetic of the base model."
    )
    early_stopping: EarlyStopping = Field(
        default_factory=EarlyStopping, description="When to stop early."
    )
    checkpoint_period_seconds: int = Field(
        default=300, ge=1, description="Longest time between two checkpoints."
    )
    stall_seconds: int = Field(
        default=900, ge=30, description="A trainer without progress for so long ends itself."
    )
    train_on: Literal["Completions", "LastCompletion", "Everything"] = Field(
        default="Completions", description="Which tokens carry loss."
    )
    dpo_beta: Decimal = Field(default="0.1", description="Strength of the reference in DPO.")


class Arm(Wire):
    """One competitor that the tuned model has to meet."""

    name: ArmName = Field(description="Which competitor.")
    require: Require = Field(default="Better", description="What tuning has to be against it.")
    margin: Decimal = Field(default="0.05", description="How much worse NotWorse still allows.")


class Forgetting(Wire):
    """What general ability may cost."""

    max_increase: Decimal = Field(
        default="0.20", description="Allowed rise of the cross-entropy on general text, in nats."
    )
    tokens: int = Field(default=20000, ge=512, le=1000000, description="Tokens of text to read.")
    uri: Uri | None = Field(default=None, description="Your own general text instead.")


class Grader(Wire):
    """A program of the trainer image that scores answers; docs/grader.md."""

    command: list[Annotated[str, Field(min_length=1, max_length=1024)]] = Field(
        min_length=1,
        max_length=64,
        description="Program and arguments, no shell. It reads answers as JSON lines and writes "
        "their scores, 0 to 1, as JSON lines.",
    )


class Evaluation(Wire):
    """How the tuned model is judged."""

    metric: Auto | Metric = Field(default="Auto", description="Score of one answer, 0 to 1.")
    system_prompt: str | None = Field(
        default=None, max_length=16384, description="Extra system text for the base arms only."
    )
    arms: list[Arm] = Field(
        default=[Arm(name="ZeroShot"), Arm(name="FewShot"), Arm(name="RetrievedFewShot")],
        min_length=1,
        max_length=5,
        description="Competitors; tuning must pass each of them.",
    )
    few_shot_examples: PositiveAuto = Field(default="Auto", description="Examples in a prompt.")
    max_new_tokens: PositiveAuto = Field(default="Auto", description="Longest answer.")
    grader: Grader | None = Field(default=None, description="With metric Grader, and only then.")
    confidence_percent: int = Field(default=95, ge=80, le=99, description="Of the intervals.")
    min_delta: Decimal = Field(default="0", description="Gain that Better has to exceed.")
    smallest_effect: Decimal = Field(
        default="0.05", description="Gain worth having; sizes the advice on how many rows decide."
    )
    target_score: Decimal | None = Field(
        default=None, description="Score that is good enough; a base arm that has it: NotNeeded."
    )
    when_not_needed: Literal["Report", "Stop"] = Field(
        default="Report", description="Stop ends before training when tuning is not needed."
    )
    against_promoted: Literal["Auto", "Better", "NotWorse", "Off"] = Field(
        default="Auto", description="What a new adapter has to be against the promoted one."
    )
    looks: Literal["Enforce", "Report"] = Field(
        default="Enforce", description="Whether repeated looks at one test split cost confidence."
    )
    forgetting: Forgetting = Field(default_factory=Forgetting, description="General ability.")


class Promotion(Wire):
    """What becomes the adapter in use."""

    policy: Literal["Auto", "Manual"] = Field(default="Auto", description="Manual waits for a pin.")
    pin: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{16}$",
        description="Run id to promote or roll back to; none: by policy.",
    )


class RunSpec(Wire):
    """The part of a FineTuneJob that a stage reads, with the base model's source filled in."""

    base_model: PinnedModel
    method: Literal["SFT", "DPO"] = "SFT"
    dataset: Dataset
    lora: Lora = Field(default_factory=Lora)
    quantization: Literal["None", "NF4"] = "None"
    training: Training = Field(default_factory=Training)
    evaluation: Evaluation = Field(default_factory=Evaluation)
    promotion: Promotion = Field(default_factory=Promotion)
    output: Output
    budget: Budget = Field(default_factory=Budget)
    gpus: int = 1
