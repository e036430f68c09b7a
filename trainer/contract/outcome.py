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
    field: str = Field(default="", max_length=100)
    message: str = Field(max_length=300, description="What is wrong and what to do.")


class DataReport(Wire):
    """What prepare found in the data."""

    format: str = ""
    rows: int = 0
    train_rows: int = 0
    validation_rows: int = 0
    test_rows: int = 0
    test_groups: int = 0
    tokens: int = Field(default=0, description="Of the training split, before padding.")
    supervised_tokens: int = 0
    truncated_rows: int = 0
    invalid_rows: int = 0
    error_count: int = 0
    errors: list[DataError] = Field(default=[], max_length=10, description="The first 10.")
    duplicate_rows: int = 0
    near_duplicate_rows: int = 0
    contradictory_rows: int = 0
    overlap_rows: int = Field(default=0, description="Removed from train: also in test.")
    labels: int = Field(default=0, description="Distinct answers if they are a closed set, else 0.")
    largest_label_percent: float = 0
    warnings: list[str] = Field(default=[], max_length=10)
    report_uri: str = Field(default="", alias="reportURI")


class ResolvedValue(Wire):
    """An Auto, written down with the rule that resolved it."""

    field: str = Field(description="Path in the spec, as training.epochs.")
    value: str
    rule: str = Field(max_length=200)


class Estimate(Wire):
    """What the run will need, before it starts."""

    train_tokens: int = Field(description="Over all epochs.")
    steps: int
    answer_count: int = Field(description="Answers to generate, over all arms.")
    peak_memory_bytes: int


class Cost(Wire):
    """What the run took."""

    gpu_seconds: float = 0
    wall_seconds: float = 0
    tokens_per_second: float | None = Field(default=None, description="Training, non-padding.")
    amount: str | None = None
    currency: str = "EUR"


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
    run_id: str
    adapter_uri: str = Field(alias="adapterURI")
    adapter_digest: Digest
    base_revision: str
    base_digest: Digest | None = None
    time: str
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
