"""The two manifests of a run: what was trained, and what it answered. Written last.

A manifest names the sha256 of every file it vouches for; a reader checks before it trusts.
"""

from pydantic import Field

from trainer.contract.base import Digest, Wire
from trainer.contract.verdict import OverfittingResult

TUNED = "Tuned"
"""Name of the tuned model's arm."""


class BaseBinding(Wire):
    """Which base model an adapter belongs to; also stored beside the adapter as base.json."""

    source: str = Field(description="Repository, s3:// prefix or directory; without a revision.")
    revision: str
    content_digest: Digest
    config_sha256: str
    tokenizer_sha256: str
    template_sha256: str = ""
    vocabulary_size: int
    architecture: str = Field(default="", description="As config.json names it; empty: it is not.")


class TrainingSummary(Wire):
    """What training did, for the judge and the report."""

    overfitting: OverfittingResult
    tokens_per_second: float
    wall_seconds: float
    gpu_seconds: float
    trained_tokens: int = Field(description="Non-padding tokens of the data, over all epochs.")
    trainable_parameters: int
    precision: str
    peak_memory_bytes: int
    versions: dict[str, str] = Field(default={})


class RunManifest(Wire):
    """runs/<run id>/manifest.json."""

    run_id: str
    epoch: int
    base: BaseBinding
    adapter_digest: Digest = Field(description="Over the adapter's files, names and contents.")
    files: dict[str, str] = Field(description="Key relative to the run -> sha256.")
    training: TrainingSummary


class AnswersManifest(Wire):
    """runs/<run id>/generations/<hash>.json."""

    run_id: str
    generation_hash: Digest
    epoch: int
    adapter_digest: Digest | None = Field(
        default=None, description="None: stopped before training."
    )
    not_needed: bool = Field(default=False, description="Training was not needed and not done.")
    files: dict[str, str] = Field(description="Key relative to the run -> sha256.")
    answers: str = Field(description="Key of the JSON lines of ArmAnswer, relative to the run.")
    forgetting: str | None = Field(default=None, description="Key of ForgettingLosses.")
    gpu_seconds: float = 0
    wall_seconds: float = 0


class ArmAnswer(Wire):
    """One line of the answers file."""

    arm: str = Field(description="An ArmName, or Tuned.")
    id: str
    answer: str = Field(description="Trimmed.")
    score: float = Field(ge=0, le=1)
    finish: str = Field(description="stop, or length when the token limit cut it.")
    tokens: int = 0


class ForgettingLosses(Wire):
    """Mean cross-entropy in nats per token of each fixed chunk, adapter off and on."""

    base: list[float]
    tuned: list[float]
    tokens: int = Field(description="Over all chunks.")
    source: str = Field(description="Where the text is from.")
