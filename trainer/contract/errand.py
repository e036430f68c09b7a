"""The two short stages of a BaseModel: what each is started with, and its last word.

``resolve`` looks at the source and says what its newest revision is; ``write-back`` commits a
revision to Git. They have a request and an outcome of their own, since nothing of a run is in
them; environment names, exit codes and the two lines of the last word are those of every stage.
"""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from trainer.contract.base import CONTRACT_VERSION, Digest, Name, Wire
from trainer.contract.failures import FailureClass
from trainer.contract.source import ModelSource
from trainer.contract.writeback import GitWriteBack

MAX_MEMO = 2800
"""Characters; with the outcome it fits into one termination message."""


class Errand(StrEnum):
    """The value is the command: ``python -m trainer <errand>``."""

    RESOLVE = "resolve"
    WRITE_BACK = "write-back"


class Cause(StrEnum):
    """What a failure class does not tell of a source; also the condition's reason."""

    RATE_LIMITED = "RateLimited"
    """Too many requests; ``retry_after_seconds`` is when the limit is reset, if the source said."""
    UNSAFE_WEIGHTS = "UnsafeWeights"
    """Weights only as pickles, which nobody here opens."""
    MARKER_NOT_FOUND = "MarkerNotFound"
    """No file below the path has a marker for this BaseModel."""


class BaseModelIdentity(Wire):
    """Whose errand this is."""

    namespace: Name
    name: Name
    uid: str = Field(min_length=1, max_length=64)


class ModelRevision(Wire):
    """A revision and what it contains."""

    revision: str = Field(max_length=200, description="Commit, or version in an object store.")
    content_digest: Digest = Field(description="Of weights, tokenizer, template and configs.")


class ErrandRequest(Wire):
    """What both have in common."""

    version: int = CONTRACT_VERSION
    errand: Errand
    base_model: BaseModelIdentity
    number: int = Field(ge=1, description="Counts the errands of the object; never used twice.")
    source: ModelSource


class ResolveRequest(ErrandRequest):
    """Look at the source."""

    errand: Literal[Errand.RESOLVE] = Errand.RESOLVE
    known: ModelRevision | None = Field(default=None, description="What the last look found.")
    memo: str = Field(
        default="", max_length=MAX_MEMO, description="What the last look said of single files."
    )


class WriteBackRequest(ErrandRequest):
    """Commit a revision."""

    errand: Literal[Errand.WRITE_BACK] = Errand.WRITE_BACK
    git: GitWriteBack
    new: ModelRevision
    old: ModelRevision | None = Field(default=None, description="The one that counted before.")


class ErrandOutcome(Wire):
    """The first line, at most 1 KiB: what the next decision needs."""

    errand: Errand
    uid: str = Field(max_length=64)
    number: int
    failure: FailureClass | None = Field(default=None, description="None: it did its work.")
    cause: Cause | None = Field(default=None, description="Narrows a failure down.")
    message: str = Field(default="", max_length=400)
    retry_after_seconds: int | None = Field(
        default=None, ge=0, description="The source's own word."
    )
    found: ModelRevision | None = Field(default=None, description="resolve: the newest revision.")
    commit: str = Field(
        default="", max_length=64, description="write-back: what holds it; empty: nothing to write."
    )
    changed_files: int = Field(default=0, ge=0, description="write-back: files with a new line.")


class ErrandDetails(Wire):
    """The second line, which may be lost."""

    memo: str = Field(
        default="",
        max_length=MAX_MEMO,
        description="For the next look: which objects have which content. Opaque; losing it costs "
        "reading them again.",
    )
