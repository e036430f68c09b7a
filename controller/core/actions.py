"""What the core asks the shell to do: frozen, and executed in order."""

from dataclasses import dataclass
from typing import Literal

from trainer.contract.errand import ResolveRequest, WriteBackRequest
from trainer.contract.request import StageRequest


@dataclass(frozen=True)
class StartStage:
    """Create the child. Only ever asked for when the *stored* status records the attempt."""

    name: str
    request: StageRequest
    image: str = ""
    """Container image; empty where stages are processes."""
    backstop_s: int | None = None
    """When it is ended from outside, counted from when it takes its place; None: never."""

    @property
    def command(self) -> str:
        """As in ``python -m trainer <command>``."""
        return self.request.stage.value


@dataclass(frozen=True)
class StartErrand:
    """The same for an errand of a BaseModel."""

    name: str
    request: ResolveRequest | WriteBackRequest
    source_hash: str
    """What it is about."""
    image: str = ""

    @property
    def command(self) -> str:
        """As in ``python -m trainer <command>``."""
        return self.request.errand.value


@dataclass(frozen=True)
class StopStage:
    """End the child gently: SIGTERM, time to checkpoint, then for good."""

    name: str
    why: str


Action = StartStage | StartErrand | StopStage


@dataclass(frozen=True)
class Event:
    """Told to people after the status write succeeded; ``reason`` is from the closed enum."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
