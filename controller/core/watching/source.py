"""What an errand is about, as digests, and which known revision is of the source as it is now."""

import hashlib

from controller.api.basemodel import BaseModelObject, SettledRevision
from trainer.contract.base import Wire
from trainer.contract.errand import ModelRevision
from trainer.contract.source import ModelSource
from trainer.contract.writeback import WriteBack

NOT_A_PLACE = {
    "hugging_face": {"secret_ref"},
    "git": {"secret_ref"},
    "s3": {"storage"},
}
"""How a source is reached: another Secret, or a mirror, leads to the same revisions."""


def location_hash(source: ModelSource) -> str:
    """Where the model is, not how it is reached: a change makes every known revision void."""
    return _digest("location", source.model_dump_json(exclude_none=True, exclude=NOT_A_PLACE))


def look_hash(source: ModelSource) -> str:
    """Everything that a look is started with."""
    return _digest("look", _json(source))


def target_hash(write_back: WriteBack) -> str:
    """Where and how revisions are written."""
    return _digest("target", _json(write_back))


def writing_hash(write_back: WriteBack, revision: str) -> str:
    """Everything that a write-back is started with."""
    return _digest("writing", _json(write_back), revision)


def usable_latest(base: BaseModelObject) -> SettledRevision | None:
    """The revision that counts, unless it is of a source that the spec no longer names.

    Whoever uses a BaseModel asks this, not ``status.latest``: between a change of the source and
    the first look at it, the status still has the revision of the old one.
    """
    known = base.status.source_hash
    is_old = known is not None and known != location_hash(base.spec.source)
    return None if is_old else base.status.latest


def revision_of(settled: SettledRevision) -> ModelRevision:
    """Without its times, as errands speak of it."""
    return ModelRevision(revision=settled.revision, content_digest=settled.content_digest)


def _json(part: Wire) -> str:
    return part.model_dump_json(exclude_none=True)


def _digest(*parts: str) -> str:
    return f"sha256:{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()}"
