"""report.json: everything that report.html and the command line show of one judgement."""

from pydantic import Field

from trainer.contract.base import Wire
from trainer.contract.outcome import Cost, DataReport, ResolvedValue
from trainer.contract.verdict import Judgement
from trainer.store.manifest import BaseBinding


class LossPoint(Wire):
    """One line of metrics.jsonl."""

    step: int
    epoch: float
    train_loss: float | None = Field(default=None, description="Nats per supervised token.")
    eval_loss: float | None = None
    learning_rate: float | None = None
    tokens: int = Field(default=0, description="Trained so far.")
    seconds: float = Field(default=0, description="Since the start of training.")


class ChangedAnswer(Wire):
    """One test item whose answer tuning changed, base beside tuned."""

    id: str
    prompt: str = Field(description="The user's message, without system text and shots.")
    reference: str
    base_arm: str
    base_answer: str
    base_score: float
    tuned_answer: str
    tuned_score: float


class Report(Wire):
    """One judgement, told whole."""

    namespace: str
    name: str
    run: int
    run_id: str
    evaluation_id: str
    created: str = Field(description="UTC, ISO 8601.")
    first_line: str = Field(description="What a reader must know before anything else.")
    judgement: Judgement
    data: DataReport
    resolved: list[ResolvedValue]
    base: BaseBinding
    adapter_uri: str = Field(default="", alias="adapterURI", description="Empty: none was trained.")
    merged_uri: str = Field(default="", alias="mergedURI", description="Empty: none was wanted.")
    method: str = ""
    losses: list[LossPoint] = Field(default=[])
    changed: list[ChangedAnswer] = Field(default=[], description="Most changed first, at most 10.")
    cost: Cost
    peak_memory_bytes: int = 0
    trainable_parameters: int = 0
    promoted: bool = False
    usage: str = Field(default="", description="Three lines of Python that use the adapter.")
    versions: dict[str, str] = Field(default={})
