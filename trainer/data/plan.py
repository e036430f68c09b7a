"""What prepare decided: prepared/plan.json, the only description of the data that train reads.

Beside it lie train.arrow, validation.arrow and test.arrow (Arrow IPC files) with the columns of
``ROW_SCHEMA`` and data-report.json with every error.
"""

import pyarrow as pa
from pydantic import Field

from trainer.contract.base import Digest, Wire
from trainer.contract.outcome import DataReport, Estimate, ResolvedValue
from trainer.store.manifest import BaseBinding

ROW_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("group", pa.string()),
        ("prompt", pa.string()),  # JSON list of {"role", "content"}, the instruction included
        ("reference", pa.string()),  # the answer to meet
        ("input_ids", pa.list_(pa.int32())),  # prompt and answer, as trained on
        ("supervised", pa.list_(pa.int32())),  # flat half-open spans [s0, e0, s1, e1, ...]
    ]
)


class PreparedPlan(Wire):
    """Every data-dependent choice of a run, frozen."""

    format: str
    metric: str
    has_template: bool = Field(description="False: prompt and completion are joined as plain text.")
    template_date: str = Field(description="Date that templates see instead of today.")
    labels: list[str] = Field(description="The closed set of answers, sorted; empty if it is open.")
    epochs: int
    learning_rate: float
    batch_tokens: int
    max_sequence_tokens: int
    few_shot_examples: int
    max_new_tokens: int
    resolved: list[ResolvedValue] = Field(description="Every Auto with its rule.")
    base: BaseBinding
    base_license: str = Field(default="", description="As the base's card says.")
    split_digests: dict[str, Digest] = Field(description="train, validation, test.")
    dataset_digest: Digest
    files: dict[str, str] = Field(default={}, description="Name below prepared/ -> sha256.")
    generation_hash: str = Field(default="", description="Settings that the plan was made for.")
    data: DataReport
    estimate: Estimate
