"""FineTuneJob: what to train, how to judge it, where to put it, when to do it again.

The sections that a stage reads are the contract's; here is what no stage sees.
"""

from typing import Final, Literal

from pydantic import Field

from controller.api.compute import Compute
from controller.api.meta import API_VERSION, ObjectMeta
from controller.api.status import FineTuneJobStatus
from trainer.contract.base import Name, Wire
from trainer.contract.source import Budget, Dataset, ModelSource, Output
from trainer.contract.spec import Evaluation, Lora, Promotion, Training

KIND: Final = "FineTuneJob"


class JobBaseModel(ModelSource):
    """The base model: a BaseModel by name, or a source written here. Exactly one of them."""

    name: Name | None = Field(default=None, description="A BaseModel in the same namespace.")
    revision: str | None = Field(
        default=None, min_length=1, max_length=200, description="Revision to stay at."
    )


class Retrain(Wire):
    """What happens when the base model has moved."""

    policy: Literal["Never", "OnCommit", "Auto"] = Field(
        default="OnCommit",
        description="OnCommit trains again when the spec names another revision; Auto by itself, "
        "when the BaseModel has a newer one and the spec names none.",
    )
    concurrency_policy: Literal["Forbid", "Replace"] = Field(
        default="Forbid", description="Whether a retraining by Auto waits for the run under way."
    )
    min_period_seconds: int = Field(
        default=86400, ge=0, description="Least time between two retrainings that Auto starts."
    )
    warm_start: Literal["None", "Adapter"] = Field(
        default="None", description="Adapter starts from the promoted adapter."
    )


class Retry(Wire):
    """What happens when a stage failed for a reason that may pass."""

    max_attempts: int = Field(
        default=3, ge=1, le=100, description="Attempts at a stage, disruptions not counted."
    )


class FineTuneJobSpec(Wire):
    """What is asked for."""

    base_model: JobBaseModel = Field(description="Which model to tune.")
    method: Literal["SFT", "DPO"] = Field(
        default="SFT", description="Supervised fine-tuning or direct preference optimisation."
    )
    dataset: Dataset = Field(description="What to train on.")
    lora: Lora = Field(default_factory=Lora, description="The adapter.")
    quantization: Literal["None", "NF4"] = Field(
        default="None", description="How the base model's weights are held while training."
    )
    training: Training = Field(default_factory=Training, description="The optimisation.")
    evaluation: Evaluation = Field(
        default_factory=Evaluation, description="How the tuned model is judged."
    )
    promotion: Promotion = Field(
        default_factory=Promotion, description="What becomes the adapter in use."
    )
    retrain: Retrain = Field(
        default_factory=Retrain, description="What happens when the base model has moved."
    )
    output: Output = Field(description="Where results go. One job owns one place.")
    compute: Compute = Field(default_factory=Compute, description="Where the stages run.")
    budget: Budget = Field(default_factory=Budget, description="What a run may cost.")
    retry: Retry = Field(default_factory=Retry, description="How often a stage is tried.")
    suspend: bool = Field(
        default=False, description="Stop the pods after a checkpoint; false goes on from there."
    )
    ttl_seconds_after_finished: int = Field(
        default=86400, ge=600, description="How long finished child Jobs stay; never this object."
    )
    active_deadline_seconds: int | None = Field(
        default=None,
        ge=60,
        description="Longest time that one run may work: that of all attempts at all its stages, "
        "failed ones included, from when a pod takes its place on a node. Time suspended, in a "
        "queue, without a node, between attempts or until something missing arrives does not "
        "count. Near it training stops, and its best checkpoint is judged as a partial run; "
        "raising it trains on.",
    )
    history_limit: int = Field(
        default=10, ge=0, le=100, description="Earlier runs kept in the status."
    )


class FineTuneJob(Wire):
    """A model to tune, to judge and to keep true to its base."""

    api_version: Literal["tunekeeper.dev/v1alpha1"] = API_VERSION
    kind: Literal["FineTuneJob"] = KIND
    metadata: ObjectMeta
    spec: FineTuneJobSpec
    status: FineTuneJobStatus = Field(default_factory=FineTuneJobStatus)
