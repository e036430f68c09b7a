"""Everything one decision may know. The shell gathers it; time comes in with it."""

from dataclasses import dataclass, field
from datetime import datetime

from controller.api.basemodel import BaseModelObject
from controller.api.finetunejob import FineTuneJob
from controller.api.status import Images
from controller.core.children import Child, Obstacle
from controller.core.pauses import RETRY_CAP_S


@dataclass(frozen=True)
class Settings:
    """The operator's own settings, as far as they decide anything."""

    retry_base_s: float = 10.0
    retry_cap_s: float = RETRY_CAP_S
    progress_period_s: float = 30.0
    """Progress that moved by less than one percent is written this often."""
    images: Images = field(default_factory=Images)
    """What stages run in; a run keeps those that it started with. Empty where there are none."""
    price_per_gpu_hour: str | None = None
    """Where a job gives none, in ``currency``."""
    currency: str = "EUR"
    waits_heal: bool = True
    """Whether what is missing may arrive while the object waits; not under a single command."""


@dataclass(frozen=True)
class Observed:
    """The object with its stored status, what it refers to, and its own children."""

    job: FineTuneJob
    now: datetime
    children: tuple[Child, ...] = ()
    base_model: BaseModelObject | None = None
    settings: Settings = field(default_factory=Settings)
    obstacle: Obstacle | None = None
    """What the API server said when the recorded child was last asked for, or what keeps its pod
    from starting. InvalidSpec alone is not asked for again while it stands."""
    queue_position: int = 0
    """0: work may start; n: the n-th in line for a slot."""
    retrain_position: int = 0
    """The same of a retraining that a moved base model asks for."""
