"""Where things come from and go to: base model sources, storage, dataset, output.

One description per field: it becomes the CRD's text and the field table of the docs.
"""

from typing import Literal

from pydantic import Field

from trainer.contract.base import Auto, Decimal, Digest, LocalObjectReference, Uri, Wire

SourceKind = Literal["hugging_face", "git", "s3", "directory"]


class Storage(Wire):
    """How to reach an object store; empty: workload identity and the public endpoint."""

    secret_ref: LocalObjectReference | None = Field(
        default=None,
        description="Secret with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, optionally "
        "AWS_SESSION_TOKEN and ca.crt. Without it the pod's workload identity is used.",
    )
    endpoint: str | None = Field(
        default=None, max_length=512, pattern=r"^https?://", description="URL of an S3 service."
    )
    region: str | None = Field(default=None, max_length=64, description="S3 region.")
    ca_bundle: str | None = Field(
        default=None, max_length=65536, description="PEM certificates to trust for the endpoint."
    )
    path_style: bool = Field(default=False, description="Put the bucket in the path of the URL.")


class HuggingFaceSource(Wire):
    """A repository on a Hugging Face Hub."""

    repo: str = Field(
        max_length=200, pattern=r"^[\w.-]+(/[\w.-]+)?$", description="Repository, owner/name."
    )
    branch: str = Field(default="main", max_length=200, description="Branch to follow.")
    secret_ref: LocalObjectReference | None = Field(
        default=None, description="Secret with the key token."
    )


class GitSource(Wire):
    """A Git repository that holds the model files."""

    url: str = Field(max_length=512, pattern=r"^https?://", description="Smart HTTP URL.")
    branch: str = Field(default="main", max_length=200, description="Branch to follow.")
    secret_ref: LocalObjectReference | None = Field(
        default=None, description="Secret with username and password."
    )


class S3Source(Wire):
    """A prefix in an object store that holds the model files."""

    uri: Uri = Field(description="s3:// prefix of the model files.")
    storage: Storage = Field(default_factory=Storage, description="How to reach the store.")


class DirectorySource(Wire):
    """A directory on this machine; local runs and cache volumes only."""

    path: str = Field(max_length=1024, description="Directory with config, tokenizer and weights.")


class ModelSource(Wire):
    """Where a base model comes from: exactly one of the four."""

    hugging_face: HuggingFaceSource | None = Field(default=None, description="A Hub repository.")
    git: GitSource | None = Field(default=None, description="A Git repository.")
    s3: S3Source | None = Field(default=None, description="A prefix in an object store.")
    directory: DirectorySource | None = Field(
        default=None, description="A directory on this machine; for local runs."
    )

    @property
    def kind(self) -> SourceKind | None:
        """Which of the four is set; None when none is."""
        kinds: tuple[SourceKind, ...] = ("hugging_face", "git", "s3", "directory")
        return next((kind for kind in kinds if getattr(self, kind) is not None), None)


class PinnedModel(ModelSource):
    """A source together with the revision and digest a run has frozen, when it has."""

    revision: str | None = Field(
        default=None, max_length=200, description="Revision to use instead of the newest."
    )
    content_digest: Digest | None = Field(
        default=None, description="Digest that the files must have (frozen by the run)."
    )


class DataFile(Wire):
    """One file, or every data file below a prefix."""

    uri: Uri = Field(description="File or prefix; .jsonl, .csv, .parquet, each also as .gz.")
    sha256: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{64}$", description="Digest that the file must have."
    )


class DataFields(Wire):
    """The user's own column names for the parts of a row."""

    id: str | None = Field(default=None, max_length=200, description="Column with a unique id.")
    prompt: str = Field(default="prompt", max_length=200, description="Column with the prompt.")
    completion: str = Field(
        default="completion", max_length=200, description="Column with the answer."
    )
    messages: str = Field(
        default="messages", max_length=200, description="Column with the chat messages."
    )
    text: str = Field(default="text", max_length=200, description="Column with plain text.")
    chosen: str = Field(default="chosen", max_length=200, description="Column, better answer.")
    rejected: str = Field(default="rejected", max_length=200, description="Column, worse answer.")


class Split(Wire):
    """How validation and test rows are split off when they are not given."""

    validation_percent: int = Field(
        default=10, ge=0, le=50, description="Share of the groups kept for validation."
    )
    test_percent: Auto | int = Field(
        default="Auto",
        description="Share of the groups kept for the test; Auto aims at 100 groups within 30 %.",
    )
    group_by: str | None = Field(
        default=None,
        max_length=200,
        description="Column whose equal values stay in one split; default: the prompt itself.",
    )


DataFormat = Literal["Chat", "PromptCompletion", "Text", "Preference"]


class Dataset(Wire):
    """What to train on."""

    train: DataFile = Field(description="Training data; validation and test are split off it.")
    validation: DataFile | None = Field(default=None, description="Validation data.")
    test: DataFile | None = Field(default=None, description="Test data.")
    format: Auto | DataFormat = Field(
        default="Auto", description="Shape of a row; Auto reads it off the first 100 rows."
    )
    fields: DataFields = Field(default_factory=DataFields, description="Your own column names.")
    instruction: str | None = Field(
        default=None,
        max_length=16384,
        description="System text that goes before every prompt, in training and in every arm.",
    )
    split: Split = Field(default_factory=Split, description="How to split.")
    max_invalid_percent: int = Field(
        default=0, ge=0, le=100, description="Share of invalid rows that is dropped, not refused."
    )
    storage: Storage = Field(default_factory=Storage, description="How to reach the data.")


class Output(Wire):
    """Where results go. One job owns one place."""

    uri: Uri = Field(description="Prefix that this job owns.")
    storage: Storage = Field(default_factory=Storage, description="How to reach the store.")
    merged: bool = Field(default=False, description="Also write the base with the adapter merged.")
    keep_runs: int = Field(
        default=5, ge=1, le=100, description="Unpromoted runs kept; promoted ones always are."
    )


class Budget(Wire):
    """What a run may cost."""

    max_gpu_seconds: int | None = Field(
        default=None,
        ge=1,
        description="GPU-seconds of one run: those of all its train attempts, failed ones "
        "included, from when a pod takes its place on a node. Near it training stops, and its "
        "best checkpoint is judged as a partial run; raising it trains on. Without GPUs: no limit.",
    )
    price_per_gpu_hour: Decimal | None = Field(default=None, description="Price, for the report.")
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$", description="ISO 4217 code.")
