"""BaseModel: where a base model comes from, and what its newest revision is."""

from typing import Final, Literal

from pydantic import ConfigDict, Field

from controller.api.conditions import Condition
from controller.api.meta import API_VERSION, ObjectMeta, Time
from controller.api.status import NOT_OBSERVED
from trainer.contract.base import Digest, Wire
from trainer.contract.errand import MAX_MEMO, Errand
from trainer.contract.source import ModelSource
from trainer.contract.writeback import WriteBack

KIND: Final = "BaseModel"


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


class ErrandStatus(Wire):
    """The newest errand: recorded before it is started, as a run's attempts are."""

    number: int = Field(default=0, ge=0, description="Counts the errands of the object.")
    errand: Errand | None = Field(default=None, description="resolve or write-back.")
    source_hash: Digest | None = Field(
        default=None, description="The source, or place to write to, that it is about."
    )
    start_time: Time | None = Field(default=None, description="When it was recorded.")
    end_time: Time | None = Field(default=None, description="When its end was seen.")


class ErrandFailure(Wire):
    """Why the newest errand of a kind did not do its work, until one of that kind does."""

    reason: str = Field(max_length=64, description="Failure class, or the cause that narrows it.")
    message: str = Field(default="", max_length=1024, description="In the errand's own words.")
    failures: int = Field(default=1, ge=1, description="Errands of this kind in a row that failed.")
    not_before: Time | None = Field(default=None, description="Earliest start of the next one.")
    source_hash: Digest | None = Field(
        default=None, description="What it was about; a change of that makes it void."
    )


class WrittenRevision(Wire):
    """The revision that was written back last."""

    revision: str = Field(max_length=200, description="Revision that was written.")
    commit: str = Field(
        default="", max_length=64, description="Commit that wrote it; empty: it was there already."
    )
    target_hash: Digest | None = Field(
        default=None, description="The writeBack section that it was written by."
    )


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
    source_hash: Digest | None = Field(
        default=None, description="The source that candidate, latest and memo are of."
    )
    memo: str = Field(
        default="",
        max_length=MAX_MEMO,
        description="Which objects of the source were read already.",
    )
    errand: ErrandStatus | None = Field(default=None, description="The newest errand.")
    look_failure: ErrandFailure | None = Field(
        default=None, description="Why the last look failed; latest stays usable."
    )
    write_back_failure: ErrandFailure | None = Field(
        default=None, description="Why latest could not be written back."
    )
    last_handled_check: str | None = Field(
        default=None, max_length=256, description="Last value of the check annotation seen."
    )


class BaseModelObject(Wire):
    """A base model that jobs refer to by name."""

    api_version: Literal["tunekeeper.dev/v1alpha1"] = API_VERSION
    kind: Literal["BaseModel"] = KIND
    metadata: ObjectMeta
    spec: BaseModelSpec
    status: BaseModelStatus = Field(default_factory=BaseModelStatus)
