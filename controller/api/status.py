"""The status of a FineTuneJob.

The parts that a stage reports are the contract's own types, floats included: in memory they are
numbers. The API has no floats, so on the wire (``document``, and in the CRD) every one of them is
a decimal string; reading it back, pydantic takes the string for the number.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from controller.api.conditions import Condition
from controller.api.meta import Time
from trainer.contract.base import Digest, Wire
from trainer.contract.outcome import Cost, DataReport, Estimate, Promoted, ResolvedValue
from trainer.contract.request import Stage
from trainer.contract.verdict import Judgement

NOT_OBSERVED = -1
"""observedGeneration of an object that the operator has not seen; kstatus: in progress."""


def _whole(value: Any) -> Any:  # noqa: ANN401 - any input; pydantic judges what is left
    """A measured number without its fraction."""
    return int(value) if isinstance(value, float) else value


Whole = Annotated[int, BeforeValidator(_whole)]


class RunBase(Wire):
    """The base model that a run is about."""

    revision: str = Field(default="", max_length=200, description="Revision in its source.")
    content_digest: Digest | None = Field(
        default=None, description="Digest of weights, tokenizer, template and configs."
    )
    name: str = Field(
        default="", max_length=253, description="BaseModel that it is from; empty: the spec's own."
    )
    source_hash: Digest | None = Field(
        default=None, description="That BaseModel's source at the time."
    )
    kept: bool = Field(
        default=False, description="The promoted adapter's, although a newer one was known."
    )


class Images(Wire):
    """The container images that a run started with."""

    cpu: str = Field(default="", max_length=512, description="Of prepare and judge.")
    trainer: str = Field(default="", max_length=512, description="Of train.")


Trigger = Literal["Spec", "Rerun", "BaseModel"]
"""Why there is a new run: another spec, an annotation, or a base model that has moved."""


class RunLimits(Wire):
    """The limits of the spec that an attempt was started with."""

    active_deadline_seconds: int | None = Field(default=None, description="Of the spec.")
    max_gpu_seconds: int | None = Field(default=None, description="Of the spec's budget.")


class RunStatus(Wire):
    """One run: frozen at its start, and written before a stage of it is started."""

    number: int = Field(default=0, ge=0, description="1, 2, ...")
    id: str = Field(default="", max_length=16, description="Empty until prepare has computed it.")
    stage: Stage | None = Field(default=None, description="Stage under way, or the last one.")
    attempt: int = Field(default=0, ge=0, description="Attempt at the stage, from 1.")
    attempts: dict[str, int] = Field(
        default={}, max_length=8, description="Newest attempt at each stage."
    )
    failures: int = Field(
        default=0, ge=0, description="Failed attempts in a row that retry.maxAttempts counts."
    )
    waits: int = Field(
        default=0, ge=0, description="Attempts in a row that found something missing."
    )
    not_before: Time | None = Field(default=None, description="Earliest start of the attempt.")
    spec_hash: Digest | None = Field(default=None, description="Identity fields that it is for.")
    identity_hash: Digest | None = Field(default=None, description="The same without locations.")
    generation_hash: Digest | None = Field(
        default=None, description="Generation fields of the answers."
    )
    judge_hash: Digest | None = Field(default=None, description="Thresholds of the judgement.")
    retry_hash: Digest | None = Field(
        default=None, description="Fields whose change makes a failed stage worth another try."
    )
    rerun: str = Field(default="", max_length=256, description="Value of the rerun annotation.")
    pin: str = Field(
        default="", max_length=16, description="Pin, or none, that was seen to after it failed."
    )
    trigger: Trigger = Field(default="Spec", description="What made it a new run.")
    images: Images | None = Field(default=None, description="Images that it started with.")
    base_model: RunBase | None = Field(default=None, description="Its base model.")
    dataset_digest: Digest | None = Field(default=None, description="Digest of its data.")
    adapter_digest: Digest | None = Field(default=None, description="Digest of its adapter.")
    checkpoint_step: int = Field(default=0, ge=0, description="Newest durable step.")
    partial: bool = Field(
        default=False, description="A limit ended its training; a raised one trains on."
    )
    limits: RunLimits | None = Field(
        default=None, description="Limits of its newest attempt to prepare or train."
    )
    active_seconds: float = Field(
        default=0, ge=0, description="Of its ended attempts: what activeDeadlineSeconds limits."
    )
    attempt_seconds: float = Field(
        default=0, ge=0, description="Of the attempt under way, when this was written."
    )
    verdict: str = Field(default="", max_length=64, description="What the judge said.")
    failure: str = Field(default="", max_length=64, description="Failure class it ended with.")
    message: str = Field(default="", max_length=4096, description="How it ended, for people.")
    start_time: Time | None = Field(default=None, description="When it began.")
    end_time: Time | None = Field(default=None, description="When it ended.")


class JobProgress(Wire):
    """Where the stage under way stands."""

    stage: Stage = Field(description="Stage under way.")
    step: int = Field(default=0, ge=0, description="Optimizer step.")
    max_steps: int = Field(default=0, ge=0, description="Last step; 0: not known yet.")
    percent: Whole = Field(default=0, ge=0, le=100, description="Of the stage, by estimated work.")
    train_loss: float | None = Field(default=None, description="Nats per supervised token.")
    eval_loss: float | None = Field(default=None, description="On the validation rows.")
    tokens_per_second: float | None = Field(default=None, description="Non-padding tokens.")
    eta_seconds: Whole | None = Field(default=None, ge=0, description="Until the stage ends.")
    update_time: Time | None = Field(default=None, description="When this was read.")


class JobCost(Cost):
    """What the newest run took so far, over all its attempts."""

    wasted_gpu_seconds: float = Field(default=0, description="Of attempts that failed.")
    estimated_gpu_seconds: float | None = Field(default=None, description="Before the start.")


class HistoryEntry(Wire):
    """A run that is over."""

    run: int = Field(ge=1, description="Its number.")
    id: str = Field(default="", max_length=16, description="Its id.")
    result: str = Field(default="", max_length=64, description="Its verdict or failure class.")
    partial: bool = Field(default=False, description="A limit ended its training early.")
    base_revision: str = Field(default="", max_length=200, description="Its base model.")
    base_digest: Digest | None = Field(default=None, description="Content of its base model.")
    spec_hash: Digest | None = Field(default=None, description="What it was asked for.")
    start_time: Time | None = Field(default=None, description="When it began.")
    end_time: Time | None = Field(default=None, description="When it ended.")


class FineTuneJobStatus(Wire):
    """What the operator knows of a FineTuneJob."""

    model_config = ConfigDict(extra="ignore")

    observed_generation: int = Field(
        default=NOT_OBSERVED, description="Generation that this status is about."
    )
    phase: str = Field(default="", max_length=32, description="For display; read conditions.")
    conditions: list[Condition] = Field(
        default=[], max_length=16, description="What is true of the object."
    )
    run: RunStatus | None = Field(default=None, description="The newest run.")
    progress: JobProgress | None = Field(default=None, description="The stage under way.")
    resolved: list[ResolvedValue] = Field(
        default=[], max_length=32, description="Every Auto with the rule that resolved it."
    )
    data: DataReport | None = Field(default=None, description="What prepare found in the data.")
    estimate: Estimate | None = Field(default=None, description="What the run will need.")
    evaluation: Judgement | None = Field(default=None, description="The newest judgement.")
    promoted: Promoted | None = Field(default=None, description="The adapter in use.")
    cost: JobCost | None = Field(default=None, description="What it took.")
    history: list[HistoryEntry] = Field(
        default=[], max_length=100, description="Finished runs, newest last."
    )
    last_retrain_time: Time | None = Field(
        default=None, description="When a moved base model last made a new run."
    )
    tried_bases: list[Digest] = Field(
        default=[],
        max_length=50,
        description="Content of base models that runs of this spec ended on, newest last.",
    )
    last_handled_rerun: str | None = Field(
        default=None, max_length=256, description="Last value of the rerun annotation seen."
    )
