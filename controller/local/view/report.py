"""report.json as the command reads it: a part of what the trainer writes, unknown keys ignored."""

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from trainer.contract.outcome import Cost, DataReport, ResolvedValue
from trainer.contract.verdict import Judgement


class ShownBase(BaseModel):
    """The base model of a report."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")

    source: str = ""
    revision: str = ""


class ShownReport(BaseModel):
    """What of a report is shown in a terminal."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")

    namespace: str = ""
    name: str = ""
    run: int = 0
    run_id: str = ""
    first_line: str = ""
    judgement: Judgement
    data: DataReport = Field(default_factory=DataReport)
    resolved: list[ResolvedValue] = []
    base: ShownBase = Field(default_factory=ShownBase)
    adapter_uri: str = Field(default="", alias="adapterURI")
    merged_uri: str = Field(default="", alias="mergedURI")
    cost: Cost = Field(default_factory=Cost)
    peak_memory_bytes: int = 0
    trainable_parameters: int = 0
    promoted: bool = False
    usage: str = ""
