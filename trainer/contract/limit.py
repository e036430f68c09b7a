"""How long an attempt may work: what is left of its run's deadline or budget."""

from typing import Literal

from pydantic import Field

from trainer.contract.base import Wire
from trainer.contract.failures import FailureClass

LIMITED_BY: dict[FailureClass, str] = {
    FailureClass.DEADLINE_EXCEEDED: "spec.activeDeadlineSeconds",
    FailureClass.BUDGET_EXCEEDED: "spec.budget.maxGpuSeconds",
}
"""The field behind each of the two classes."""

LimitClass = Literal[FailureClass.DEADLINE_EXCEEDED, FailureClass.BUDGET_EXCEEDED]


class SoftLimit(Wire):
    """The narrower of the two: a stage that reaches it ends by itself, with what it has."""

    seconds: int = Field(ge=1, description="Counted from the start of the process.")
    failure: LimitClass = Field(description="Which limit it is, by what it fails with.")


class PartialTraining(Wire):
    """A training that its limit ended before its last step."""

    step: int = Field(ge=1, description="Optimizer steps done.")
    max_steps: int
    limit: LimitClass

    @property
    def text(self) -> str:
        """What is said of it wherever its adapter is spoken of."""
        steps = f"step {self.step} of {self.max_steps}"
        return f"training was ended by {LIMITED_BY[self.limit]} at {steps}"
