"""The verdict as it is written: verdict.json, and status.evaluation."""

from enum import StrEnum

from pydantic import Field

from trainer.contract.base import Wire


class Verdict(StrEnum):
    """What the evidence allows to say."""

    PROMOTE = "Promote"
    REJECT = "Reject"
    NOT_NEEDED = "NotNeeded"
    INCONCLUSIVE = "Inconclusive"


class ArmScore(Wire):
    """One arm on the frozen test split."""

    name: str
    score: float = Field(description="Mean, 0 to 1.")
    ci_low: float
    ci_high: float
    n: int = Field(description="Items scored.")
    gate: bool = Field(default=False, description="Tuning has to pass it.")


class Comparison(Wire):
    """The tuned model against one arm, paired by item."""

    arm: str
    require: str
    threshold: float = Field(description="minDelta, or minus the margin.")
    delta: float
    ci_low: float
    ci_high: float
    method: str = Field(description="Tango, group t, bootstrap.")
    passed: bool
    p_value: float | None = Field(default=None, description="McNemar; printed, never decides.")
    wins: int = 0
    losses: int = 0


class ForgettingResult(Wire):
    """Cross-entropy on general text, adapter on minus off."""

    base_nats: float
    increase: float
    ci_low: float
    ci_high: float
    max_increase: float
    tokens: int
    passed: bool


class OverfittingResult(Wire):
    """How far training went past its best."""

    best_validation_loss: float | None = None
    last_validation_loss: float | None = None
    train_loss: float | None = Field(default=None, description="Best adapter, fixed subset.")
    best_step: int = 0
    steps: int = 0
    stopped_early: bool = False


class Guard(Wire):
    """A fixed margin on an estimate."""

    name: str
    value: float
    limit: float
    passed: bool
    message: str


class Judgement(Wire):
    """One judgement of one run."""

    metric: str
    arms: list[ArmScore] = Field(default=[], max_length=8)
    comparisons: list[Comparison] = Field(default=[], max_length=8)
    delta: float | None = Field(default=None, description="Against the hardest gate.")
    ci_low: float | None = None
    ci_high: float | None = None
    confidence_percent: float = Field(default=95, description="After the looks were paid for.")
    minimum_detectable_effect: float | None = None
    look: int = 1
    guards: list[Guard] = Field(default=[], max_length=8)
    forgetting: ForgettingResult | None = None
    overfitting: OverfittingResult | None = None
    partial: bool = Field(
        default=False, description="Of an adapter whose training a limit ended early."
    )
    verdict: Verdict
    reason: str = Field(max_length=600, description="One plain sentence or two.")
    notes: list[str] = Field(default=[], max_length=8)
    report_uri: str = Field(default="", alias="reportURI")
