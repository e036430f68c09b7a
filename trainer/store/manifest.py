"""The two manifests of a run: what was trained, and what it answered. Written last.

A manifest names the sha256 of every file it vouches for; a reader checks before it trusts.
"""

from pydantic import Field, JsonValue

from trainer.contract.base import CONTRACT_VERSION, Digest, Wire
from trainer.contract.limit import PartialTraining
from trainer.contract.verdict import OverfittingResult

TUNED = "Tuned"
"""Name of the tuned model's arm."""

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "base.json")
"""What an adapter is, and what its digest covers."""


class BaseBinding(Wire):
    """Which base model an adapter belongs to; also stored beside the adapter as base.json."""

    source: str = Field(description="Repository, s3:// prefix or directory; without a revision.")
    revision: str
    content_digest: Digest
    config_sha256: str
    tokenizer_sha256: str
    template_sha256: str = ""
    vocabulary_size: int
    architecture: str = Field(default="", description="As config.json names it; empty: not known.")


class Lineage(Wire):
    """What a run was made from and with. Recorded, and in no digest or id."""

    namespace: str
    name: str = Field(description="Of the job.")
    run: int = Field(description="Number that the run had when this was written.")
    created: str = Field(description="UTC, ISO 8601.")
    spec_hash: Digest
    identity_hash: Digest
    generation_hash: Digest
    rerun: str = ""
    contract_version: int = CONTRACT_VERSION
    git_commit: str = Field(default="", description="Of the manifest; empty: nobody said.")
    image: str = Field(default="", description="As the pod was asked to run it; empty: no pod.")
    image_digest: str = Field(default="", description="Where the image's name pins one.")
    dataset_digest: Digest
    split_digests: dict[str, Digest]
    seeds: dict[str, int] = Field(default={})
    versions: dict[str, str] = Field(default={}, description="Python and libraries.")
    plan_sha256: str = Field(default="", description="Of prepared/plan.json as it was read.")
    spec: dict[str, JsonValue] = Field(
        default={}, description="Identity and generation fields with their values, defaults too."
    )


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
    partial: PartialTraining | None = Field(
        default=None, description="None: training came to its end, early stopping included."
    )


class EarlierAdapter(Wire):
    """A partial adapter that was judged, and may be in use, before training went on."""

    epoch: int
    adapter_digest: Digest
    files: dict[str, str] = Field(description="Key relative to the run -> sha256.")
    partial: PartialTraining


class RunManifest(Wire):
    """runs/<run id>/manifest.json."""

    run_id: str
    epoch: int
    base: BaseBinding
    adapter_digest: Digest = Field(description="Over the adapter's files, names and contents.")
    files: dict[str, str] = Field(description="Key relative to the run -> sha256.")
    training: TrainingSummary
    lineage: Lineage | None = Field(default=None, description="None: an older release wrote it.")
    earlier: list[EarlierAdapter] = Field(default=[], description="Oldest first; they stay.")

    @property
    def partial(self) -> PartialTraining | None:
        """Where a limit ended the training."""
        return self.training.partial


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
    merged: str | None = Field(
        default=None, description="Folder of the merged model, relative to the run; None: none."
    )
    gpu_seconds: float = 0
    wall_seconds: float = 0
    lineage: Lineage | None = Field(default=None, description="None: an older release wrote it.")


class EvaluationManifest(Wire):
    """runs/<run id>/evaluations/<evaluation id>/manifest.json."""

    run_id: str
    evaluation_id: str
    created: str = Field(description="UTC, ISO 8601.")
    generation_hash: Digest
    files: dict[str, str] = Field(description="Key relative to the run -> sha256.")
    read: dict[str, str] = Field(
        default={}, description="Manifests that the judge relied on: key -> sha256."
    )


class ArmAnswer(Wire):
    """One line of the answers file."""

    arm: str = Field(description="An ArmName, or Tuned.")
    id: str
    answer: str = Field(description="Trimmed.")
    score: float = Field(ge=0, le=1)
    finish: str = Field(description="stop, or length when the token limit cut it.")
    tokens: int = 0
    flags: list[str] = Field(
        default=[], exclude_if=lambda flags: not flags, description="Of a grader, in its words."
    )


class ForgettingLosses(Wire):
    """Mean cross-entropy in nats per token of each fixed chunk, adapter off and on."""

    base: list[float]
    tuned: list[float]
    tokens: int = Field(description="Over all chunks.")
    source: str = Field(description="Where the text is from.")
