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

    name: str = Field(description="Which arm.")
    score: float = Field(description="Mean, 0 to 1.")
    ci_low: float = Field(description="Interval of the score.")
    ci_high: float = Field(description="Its upper end.")
    n: int = Field(description="Items scored.")
    gate: bool = Field(default=False, description="Tuning has to pass it.")


class Comparison(Wire):
    """The tuned model against one arm, paired by item."""

    arm: str = Field(description="Compared with.")
    require: str = Field(description="Better or NotWorse.")
    threshold: float = Field(description="minDelta, or minus the margin.")
    delta: float = Field(description="Tuned minus the arm.")
    ci_low: float = Field(description="Interval of delta.")
    ci_high: float = Field(description="Its upper end.")
    method: str = Field(description="Tango, group t, bootstrap.")
    passed: bool = Field(description="ciLow is above threshold.")
    p_value: float | None = Field(default=None, description="McNemar; printed, never decides.")
    wins: int = Field(default=0, description="Items right only when tuned.")
    losses: int = Field(default=0, description="Items right only by the arm.")


class ForgettingResult(Wire):
    """Cross-entropy on general text, adapter on minus off."""

    base_nats: float = Field(description="Adapter off.")
    increase: float = Field(description="Nats per token.")
    ci_low: float = Field(description="Interval of it.")
    ci_high: float = Field(description="Its upper end.")
    max_increase: float = Field(description="Allowed for ciLow.")
    tokens: int = Field(description="Read.")
    passed: bool = Field(description="The guard holds.")


class OverfittingResult(Wire):
    """How far training went past its best."""

    best_validation_loss: float | None = Field(default=None, description="Of the adapter kept.")
    last_validation_loss: float | None = Field(default=None, description="At the end.")
    train_loss: float | None = Field(default=None, description="Best adapter, fixed subset.")
    best_step: int = Field(default=0, description="Step of the best.")
    steps: int = Field(default=0, description="Steps made.")
    stopped_early: bool = Field(default=False, description="By earlyStopping.")


class Guard(Wire):
    """A fixed margin on an estimate."""

    name: str = Field(description="Which guard.")
    value: float = Field(description="Found.")
    limit: float = Field(description="Allowed.")
    passed: bool = Field(description="It holds.")
    message: str = Field(description="The same in words.")


class Judgement(Wire):
    """One judgement of one run."""

    metric: str = Field(description="What scored an answer.")
    arms: list[ArmScore] = Field(default=[], max_length=8, description="Every arm.")
    comparisons: list[Comparison] = Field(default=[], max_length=8, description="Each gate.")
    delta: float | None = Field(default=None, description="Against the hardest gate.")
    ci_low: float | None = Field(default=None, description="Interval of delta.")
    ci_high: float | None = Field(default=None, description="Its upper end.")
    confidence_percent: float = Field(default=95, description="After the looks were paid for.")
    minimum_detectable_effect: float | None = Field(
        default=None, description="Gain that four of five such tests show."
    )
    look: int = Field(default=1, description="Which look at this test split.")
    guards: list[Guard] = Field(default=[], max_length=8, description="Fixed margins.")
    forgetting: ForgettingResult | None = None
    overfitting: OverfittingResult | None = None
    partial: bool = Field(
        default=False, description="Of an adapter whose training a limit ended early."
    )
    verdict: Verdict
    reason: str = Field(max_length=600, description="One plain sentence or two.")
    notes: list[str] = Field(default=[], max_length=8, description="What else to know.")
    report_uri: str = Field(default="", alias="reportURI", description="report.html")
