"""A stage's last word.

Two lines of JSON in the termination message: ``Outcome`` (at most 1 KiB, enough to decide on)
and ``Details`` (may be lost; the store has it too, as ``<stage>-outcome.json``).
The parts of ``Details`` are the parts of the job's status, so they are described here once.
"""

from typing import Literal

from pydantic import Field

from trainer.contract.base import Digest, Wire
from trainer.contract.failures import FailureClass
from trainer.contract.request import Stage
from trainer.contract.verdict import Judgement

MAX_OUTCOME_BYTES = 1024
MAX_MESSAGE_BYTES = 4096  # the kubelet cuts a termination message here


class DataError(Wire):
    """One thing wrong with the data: place, field and remedy, never a value of a row."""

    place: str = Field(max_length=200, description="file:line")
    field: str = Field(default="", max_length=100, description="Column or field.")
    message: str = Field(max_length=300, description="What is wrong and what to do.")


class DataReport(Wire):
    """What prepare found in the data."""

    format: str = Field(default="", description="Of the rows.")
    rows: int = Field(default=0, description="Read.")
    train_rows: int = Field(default=0, description="To train on.")
    validation_rows: int = Field(default=0, description="For early stopping.")
    test_rows: int = Field(default=0, description="For the verdict.")
    test_groups: int = Field(default=0, description="Groups among them.")
    tokens: int = Field(default=0, description="Of the training split, before padding.")
    supervised_tokens: int = Field(default=0, description="Of these with loss.")
    truncated_rows: int = Field(default=0, description="Cut at maxSequenceTokens.")
    invalid_rows: int = Field(default=0, description="With an error.")
    error_count: int = Field(default=0, description="All of them.")
    errors: list[DataError] = Field(default=[], max_length=10, description="The first 10.")
    duplicate_rows: int = Field(default=0, description="Repeats of an earlier row.")
    near_duplicate_rows: int = Field(default=0, description="Nearly repeats.")
    contradictory_rows: int = Field(default=0, description="Prompts with several answers.")
    overlap_rows: int = Field(default=0, description="Left out of train: also held out.")
    labels: int = Field(default=0, description="Distinct answers if they are a closed set, else 0.")
    largest_label_percent: float = Field(default=0, description="Share of the most frequent one.")
    warnings: list[str] = Field(default=[], max_length=10, description="What to look at.")
    report_uri: str = Field(default="", alias="reportURI", description="All of it, as JSON.")


class ResolvedValue(Wire):
    """An Auto, written down with the rule that resolved it."""

    field: str = Field(description="Path in the spec, as training.epochs.")
    value: str = Field(description="What Auto became.")
    rule: str = Field(max_length=200, description="Why.")


class Estimate(Wire):
    """What the run will need, before it starts."""

    train_tokens: int = Field(description="Over all epochs.")
    steps: int = Field(description="Optimizer steps.")
    answer_count: int = Field(description="Answers to generate, over all arms.")
    peak_memory_bytes: int = Field(description="Of train.")


class Cost(Wire):
    """What the run took."""

    gpu_seconds: float = Field(default=0, description="Of train, times its GPUs.")
    wall_seconds: float = Field(default=0, description="Of train.")
    tokens_per_second: float | None = Field(default=None, description="Training, non-padding.")
    amount: str | None = Field(default=None, description="By pricePerGpuHour.")
    currency: str = Field(default="EUR", description="ISO 4217 code.")


MoveBy = Literal["Policy", "Pin", "Unpin"]
"""What moved the pointer: promotion.policy, promotion.pin, or that the pin was removed."""


class Move(Wire):
    """One change of the adapter in use."""

    sequence: int
    run_id: str
    time: str
    by: MoveBy
    verdict: str = Field(default="", description="Of that run at the time; empty: not judged then.")


class Promoted(Wire):
    """The adapter in use: status.promoted, and the head of promoted.json."""

    sequence: int = Field(default=0, description="Counts the moves of the pointer; only grows.")
    run_id: str = Field(description="Its run.")
    adapter_uri: str = Field(alias="adapterURI", description="Where it lies.")
    adapter_digest: Digest = Field(description="Of its files.")
    base_revision: str = Field(description="Revision to serve it on.")
    base_digest: Digest | None = Field(default=None, description="Content of that.")
    time: str = Field(description="When it moved.")
    by: MoveBy = Field(default="Policy", description="What put it in use.")
    back: bool = Field(default=False, description="It was in use before, and then another was.")


class Details(Wire):
    """The second line."""

    data: DataReport | None = None
    resolved: list[ResolvedValue] = Field(default=[])
    estimate: Estimate | None = None
    evaluation: Judgement | None = None
    promoted: Promoted | None = None
    cost: Cost | None = None


class Outcome(Wire):
    """The first line: what the next decision needs."""

    stage: Stage
    uid: str
    run: int
    attempt: int
    failure: FailureClass | None = Field(default=None, description="None: the stage did its work.")
    message: str = Field(default="", max_length=400)
    run_id: str = Field(default="", max_length=16)
    base_revision: str = Field(default="", max_length=200)
    base_digest: Digest | None = None
    dataset_digest: Digest | None = None
    adapter_digest: Digest | None = None
    trained: bool = Field(default=False, description="A finished run is in the output.")
    generated: bool = Field(default=False, description="So are its answers, for these settings.")
    not_needed: bool = Field(default=False, description="Train stopped before training.")
    partial: bool = Field(
        default=False, description="train: a limit ended it before its last step."
    )
    verdict: str = ""
    evaluation_id: str = ""
    sequence: int = Field(default=0, description="judge: of the pointer as it is afterwards.")
    promoted_run_id: str = Field(default="", max_length=16, description="judge: that it names.")
    refused: FailureClass | None = Field(
        default=None, description="judge: why promotion.pin was not followed; see message."
    )
    checkpoint_step: int = Field(default=0, description="Newest durable step, also when it failed.")
