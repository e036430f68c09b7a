"""A run keeps the base model that it began with."""

from trainer.contract.source import PinnedModel
from trainer.sources.base import refused

SHORT = 12


def short_revision(digest: str) -> str:
    """The revision of a source that counts none: the start of its content digest."""
    return digest.removeprefix("sha256:")[:SHORT]


def check_digest(source: PinnedModel, place: str, digest: str) -> None:
    """Refuse a model that is not the one the run began with.

    Raises:
        StageError: its content digest is another.
    """
    if source.content_digest not in (None, digest):
        message = (
            f"{place} changed since this run began (content digest {digest[:19]}, frozen "
            f"{str(source.content_digest)[:19]}); put the old files back, or start a new run"
        )
        raise refused(message)


def check_revision(source: PinnedModel, place: str, revision: str) -> None:
    """Refuse a model that is not the one the spec pins.

    Raises:
        StageError: its revision is another.
    """
    if source.revision not in (None, revision):
        message = (
            f"{place} is revision {revision}, not spec.baseModel.revision {source.revision}; "
            f"remove the pin, or put that revision there"
        )
        raise refused(message)
