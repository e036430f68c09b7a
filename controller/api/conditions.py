"""Conditions, as kstatus, Flux and ``kubectl wait`` read them. What sets them is in the core."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from controller.api.meta import Time
from controller.api.reasons import Reason
from trainer.contract.base import Wire

ConditionStatus = Literal["True", "False", "Unknown"]


class ConditionType(StrEnum):
    """Every condition that an object of the two kinds can have."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    SUCCEEDED = "Succeeded"
    FINISHED = "Finished"
    DATA_VALID = "DataValid"
    TRAINED = "Trained"
    EVALUATED = "Evaluated"
    PROMOTED = "Promoted"
    BASE_MODEL_CURRENT = "BaseModelCurrent"
    PROGRESSING = "Progressing"


class Condition(Wire):
    """One statement about the object, with the generation that it was made for."""

    type: ConditionType = Field(description="What the statement is about.")
    status: ConditionStatus = Field(description="True, False or Unknown.")
    reason: Reason = Field(description="Why, in one word of a closed set.")
    message: str = Field(default="", max_length=4096, description="Why, for people.")
    last_transition_time: Time | None = Field(
        default=None, description="When the status last changed."
    )
    observed_generation: int = Field(default=0, description="Generation it was made for.")
