"""What a resolved base model is, and the words that all kinds of source share."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainer.contract.errand import Cause
from trainer.contract.failures import FailureClass
from trainer.contract.source import PinnedModel
from trainer.errors import StageError
from trainer.pulse import LOAD_S, PULSE
from trainer.store.secrets import SecretFiles


@dataclass(frozen=True)
class ResolvedModel:
    """A base model on this machine; ``files`` maps each counted file to its sha256.

    ``source`` is where it comes from, the same on every machine: repository, URI or directory.
    Weights are in ``path`` only where they were asked for.
    """

    path: Path
    source: str
    revision: str
    content_digest: str
    files: Mapping[str, str]
    license: str = ""
    """As its card says; empty: it does not, or the card was not read."""


@dataclass(frozen=True)
class Transfer:
    """Who hears of the bytes: ``on_size`` of those to come, ``on_bytes`` of those done.

    ``on_bytes`` may raise to end the work; it is called, with 0, also while nothing moves.
    """

    on_size: Callable[[int], None] = lambda _total: None
    on_bytes: Callable[[int], None] = lambda _count: None
    stop: threading.Event = field(default_factory=threading.Event)

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than until the stage is told to stop."""
        with PULSE.silent("waiting to ask again", seconds + LOAD_S):
            self.stop.wait(seconds)
        self.on_bytes(0)


@dataclass(frozen=True)
class Wanted:
    """What a stage asks for; without ``weights`` only what preparing data needs is fetched."""

    source: PinnedModel
    cache: Path
    file_root: Path
    secrets: SecretFiles
    weights: bool
    transfer: Transfer


class ChangedError(StageError):
    """A place is not what it was a moment ago; what was read of it is of no use."""

    def __init__(self, message: str) -> None:
        super().__init__(FailureClass.UNAVAILABLE, message)


class BrokenOffError(StageError):
    """A transfer broke off on the way; it may be taken up again where it ended."""

    def __init__(
        self, message: str, *, cause: Cause | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(
            FailureClass.UNAVAILABLE, message, cause=cause, retry_after_s=retry_after_s
        )


def read_object(path: Path) -> dict[str, object]:
    """A JSON object.

    Raises:
        StageError: the file holds something else.
    """
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise refused(f"{path} is not a JSON object; save the model again")
    return document


def refused(message: str, *, cause: Cause | None = None) -> StageError:
    """The user's mistake in the base model."""
    return StageError(FailureClass.INVALID_SPEC, f"spec.baseModel: {message}", cause=cause)
