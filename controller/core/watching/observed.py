"""Everything one decision about a BaseModel may know. Time comes in with it."""

from dataclasses import dataclass, field
from datetime import datetime

from controller.api.basemodel import BaseModelObject
from controller.core.children import Obstacle
from controller.core.watching.child import ErrandChild


@dataclass(frozen=True)
class WatchSettings:
    """The operator's own settings, as far as they decide anything about a BaseModel."""

    retry_base_s: float = 10.0
    """Pause after a first failure; doubles up to the poll period."""
    image: str = ""
    """What errands run in; empty where they are processes."""
    is_local: bool = False
    """Whether errands see the directories of the person who wrote the spec."""


@dataclass(frozen=True)
class ObservedBase:
    """The object with its stored status, and its own children."""

    base: BaseModelObject
    now: datetime
    children: tuple[ErrandChild, ...] = ()
    settings: WatchSettings = field(default_factory=WatchSettings)
    obstacle: Obstacle | None = None
    """What the API server said when the recorded errand was last asked for."""
    look_position: int = 0
    """0: it may look at its source; n: it is the n-th of those that wait until others have."""
