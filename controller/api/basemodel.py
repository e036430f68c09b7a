"""BaseModel: where a base model comes from, and what its newest revision is."""

from typing import Final, Literal

from pydantic import ConfigDict, Field

from controller.api.conditions import Condition
from controller.api.meta import API_VERSION, ObjectMeta, Time
from controller.api.status import NOT_OBSERVED
from trainer.contract.base import Digest, LocalObjectReference, Wire
from trainer.contract.source import ModelSource

KIND: Final = "BaseModel"


class GitWriteBack(Wire):
    """The repository of manifests that new revisions are committed to."""

    url: str = Field(max_length=512, pattern=r"^https?://", description="Smart HTTP URL.")
    branch: str = Field(
        default="main", min_length=1, max_length=200, description="Branch to start from."
    )
    push_branch: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Branch to push, rebuilt from branch each time; default: branch itself.",
    )
    path: str = Field(
        default=".", max_length=1024, description="Directory below which markers are looked for."
    )
    secret_ref: LocalObjectReference | None = Field(
        default=None, description="Secret with username and password."
    )
    author_name: str = Field(
        default="tunekeeper", min_length=1, max_length=200, description="Author of the commits."
    )
    author_email: str = Field(
        default="tunekeeper@tunekeeper.dev",
        max_length=254,
        pattern=r"^[^@\s<>]+@[^@\s<>]+$",
        description="Author's address.",
    )
    message: str | None = Field(
        default=None, max_length=4096, description="Commit message instead of the usual one."
    )


class WriteBack(Wire):
    """Where new revisions are written."""

    git: GitWriteBack = Field(description="A Git repository.")


class BaseModelSpec(Wire):
    """Which model to watch."""

    source: ModelSource = Field(description="Where it comes from; exactly one of the four.")
    poll_period_seconds: int = Field(
        default=3600, ge=300, le=2592000, description="How often the source is looked at."
    )
    settle_seconds: int = Field(
        default=600,
        ge=0,
        le=2592000,
        description="How long a revision must stand before it counts; the first counts at once.",
    )
    suspend: bool = Field(default=False, description="Do not look at the source.")
    write_back: WriteBack | None = Field(
        default=None, description="Commit new revisions to the manifests that are marked for it."
    )


class CandidateRevision(Wire):
    """A revision that was seen and has not settled."""

    revision: str = Field(max_length=200, description="Revision in the source.")
    content_digest: Digest = Field(
        description="Digest of weights, tokenizer, template and configs."
    )
    first_seen: Time = Field(description="It counts settleSeconds after this.")


class SettledRevision(Wire):
    """A revision that counts."""

    revision: str = Field(max_length=200, description="Commit, or version in an object store.")
    content_digest: Digest = Field(
        description="Digest of weights, tokenizer, template and configs."
    )
    observed_time: Time = Field(description="When it began to count.")


class WrittenRevision(Wire):
    """The revision that was written back last."""

    revision: str = Field(max_length=200, description="Revision that was written.")
    commit: str = Field(max_length=64, description="Commit that wrote it.")


class BaseModelStatus(Wire):
    """What the operator knows of a BaseModel."""

    model_config = ConfigDict(extra="ignore")

    observed_generation: int = Field(
        default=NOT_OBSERVED, description="Generation that this status is about."
    )
    conditions: list[Condition] = Field(
        default=[], max_length=16, description="What is true of the object."
    )
    last_check_time: Time | None = Field(default=None, description="Last look at the source.")
    candidate: CandidateRevision | None = Field(default=None, description="Seen, not settled.")
    latest: SettledRevision | None = Field(default=None, description="The newest that counts.")
    write_back: WrittenRevision | None = Field(default=None, description="Last written back.")
    history: list[SettledRevision] = Field(
        default=[], max_length=10, description="Earlier revisions, newest first."
    )


class BaseModelObject(Wire):
    """A base model that jobs refer to by name."""

    api_version: Literal["tunekeeper.dev/v1alpha1"] = API_VERSION
    kind: Literal["BaseModel"] = KIND
    metadata: ObjectMeta
    spec: BaseModelSpec
    status: BaseModelStatus = Field(default_factory=BaseModelStatus)
