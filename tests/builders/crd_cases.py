"""Documents that an API server must refuse, with what it must say."""

import copy
from dataclasses import dataclass
from typing import Any

from builders.api import a_base_model_document, a_job_document

GONE = object()
"""Takes a field out."""

Document = dict[str, Any]


@dataclass(frozen=True)
class Bad:
    """A good document with one field spoilt."""

    about: str
    path: str
    """Of the spoilt field: ``spec.evaluation.arms.0.margin``."""
    value: Any
    field: str
    """The place that both must name."""
    server_says: str
    command_says: str = ""
    """Empty: what the server says."""
    kind: str = "FineTuneJob"

    def document(self) -> Document:
        """The whole document."""
        whole = a_job_document() if self.kind == "FineTuneJob" else a_base_model_document()
        return changed(whole, self.path, self.value)


def changed(document: Document, path: str, value: Any) -> Document:
    """A copy with another value at the path; sections on the way are made."""
    result = copy.deepcopy(document)
    *above, last = path.split(".")
    section: Any = result
    for name in above:
        section = section[int(name)] if name.isdigit() else section.setdefault(name, {})
    if value is GONE:
        del section[last]
    else:
        section[last] = value
    return result


ARMS = "spec.evaluation.arms"
RATE = "spec.training.learningRate"
TWICE = [{"name": "FewShot"}, {"name": "FewShot", "require": "NotWorse"}]
SEVERAL = [{"name": "FewShot"}] * 6
DECIMAL_SAYS = "must be of type string"
OR_AUTO = 'write Auto or a decimal number in quotes, as "0.05" or "5e-4"'
A_URI = "write s3://bucket/prefix or file:///absolute/path"

BAD: tuple[Bad, ...] = (
    Bad("no base model source", "spec.baseModel", {}, "spec.baseModel", "exactly one of name"),
    Bad(
        "two base model sources",
        "spec.baseModel.name",
        "smollm2",
        "spec.baseModel",
        "exactly one of name, huggingFace, git, s3, directory must be set",
    ),
    Bad("no base model", "spec.baseModel", GONE, "spec.baseModel", "Required value", "is missing"),
    Bad("no data", "spec.dataset", GONE, "spec.dataset", "Required value", "is missing"),
    Bad("no data file", "spec.dataset.train", GONE, "dataset.train", "Required value", "missing"),
    Bad("no output", "spec.output", GONE, "spec.output", "Required value", "is missing"),
    Bad("no spec", "spec", GONE, "spec", "Required value", "is missing"),
    Bad(
        "output inside the data",
        "spec.output.uri",
        "file:///data/train.jsonl/results",
        "output.uri",
        "must not lie inside dataset.train.uri, or results would be read as data; choose another",
    ),
    Bad(
        "output that is the data",
        "spec.output.uri",
        "file:///data/train.jsonl",
        "output.uri",
        "must not lie inside dataset.train.uri",
    ),
    Bad("a bare decimal", RATE, 0.0002, RATE, DECIMAL_SAYS, 'in quotes: "0.0002"'),
    Bad("a bare whole number for a decimal", RATE, 1, RATE, DECIMAL_SAYS, 'in quotes: "1"'),
    Bad("a word for a decimal", RATE, "fast", RATE, OR_AUTO),
    Bad("auto without a capital", RATE, "auto", RATE, OR_AUTO),
    Bad("a decimal above its range", RATE, "5", RATE, "must be more than 0 and at most 1"),
    Bad("a decimal at its open limit", RATE, "0", RATE, "must be more than 0 and at most 1"),
    Bad(
        "a bare price",
        "spec.budget.pricePerGpuHour",
        2.5,
        "spec.budget.pricePerGpuHour",
        DECIMAL_SAYS,
        'in quotes: "2.5"',
    ),
    Bad(
        "dropout of one",
        "spec.lora.dropout",
        "1",
        "spec.lora.dropout",
        "must be at least 0 and at most 0.99",
    ),
    Bad(
        "a text for a whole number", "spec.lora.rank", "16", "spec.lora.rank", "type integer", "16"
    ),
    Bad("a rank of zero", "spec.lora.rank", 0, "spec.lora.rank", "greater than or equal to 1", "1"),
    Bad(
        "a rank of 513", "spec.lora.rank", 513, "spec.lora.rank", "less than or equal to 512", "512"
    ),
    Bad("a fraction of a GPU", "spec.compute.gpus", 0.5, "spec.compute.gpus", "integer", "whole"),
    Bad("65 GPUs", "spec.compute.gpus", 65, "spec.compute.gpus", "less than or equal to 64", "64"),
    Bad(
        "epochs in quotes",
        "spec.training.epochs",
        "2",
        "spec.training.epochs",
        "must be Auto or a whole number of at least 1, without quotes",
        "without quotes",
    ),
    Bad(
        "no epochs",
        "spec.training.epochs",
        0,
        "spec.training.epochs",
        "greater than or equal to 1",
        "Auto or a whole number of at least 1",
    ),
    Bad(
        "a test split of 31 %",
        "spec.dataset.split.testPercent",
        31,
        "spec.dataset.split.testPercent",
        "must be Auto or a whole number from 1 to 30, without quotes",
    ),
    Bad("an unknown method", "spec.method", "RLHF", "spec.method", '"SFT", "DPO"', "SFT"),
    Bad("an unknown arm", ARMS, [{"name": "OneShot"}], f"{ARMS}[0].name", '"ZeroShot"', "ZeroShot"),
    Bad("an arm twice", ARMS, TWICE, ARMS, "an arm can be listed once only; remove the repeated"),
    Bad("too many arms", ARMS, SEVERAL, ARMS, "must have at most 5 items", "from 1 to 5"),
    Bad("no arms", ARMS, [], ARMS, "should have at least 1 items", "from 1 to 5"),
    Bad(
        "a margin above one",
        ARMS,
        [{"name": "FewShot", "require": "NotWorse", "margin": "1.5"}],
        f"{ARMS}[0].margin",
        "must be at least 0 and at most 1",
    ),
    Bad(
        "metric Grader without a grader",
        "spec.evaluation.metric",
        "Grader",
        "spec.evaluation",
        "grader and metric: Grader belong together; set both or neither",
    ),
    Bad(
        "a confidence that is no percentage",
        "spec.evaluation.confidencePercent",
        "95%",
        "spec.evaluation.confidencePercent",
        "must be of type integer",
        "95",
    ),
    Bad(
        "a duration with a unit",
        "spec.training.checkpointPeriodSeconds",
        "5m",
        "spec.training.checkpointPeriodSeconds",
        "must be of type integer",
        "write 300",
    ),
    Bad("a place that is no URI", "spec.output.uri", "/results", "spec.output.uri", A_URI),
    Bad("a bucket of two letters", "spec.output.uri", "s3://ab/x", "spec.output.uri", A_URI),
    Bad("an ftp place", "spec.dataset.train.uri", "ftp://a/b", "dataset.train.uri", A_URI),
    Bad(
        "an endpoint without a scheme",
        "spec.output.storage.endpoint",
        "minio:9000",
        "spec.output.storage.endpoint",
        "write a URL that starts with https:// or http://",
    ),
    Bad(
        "a Secret's name with a capital",
        "spec.output.storage.secretRef",
        {"name": "Keys"},
        "spec.output.storage.secretRef.name",
        "write lower-case letters, digits, - and ., as in my-name",
    ),
    Bad(
        "a reference that is a bare name",
        "spec.output.storage.secretRef",
        "keys",
        "spec.output.storage.secretRef",
        "must be of type object",
        "must be a section of fields",
    ),
    Bad(
        "a pin that is no run id",
        "spec.promotion.pin",
        "r1",
        "spec.promotion.pin",
        "a run id of 16 hex",
    ),
    Bad(
        "a currency in words",
        "spec.budget.currency",
        "euro",
        "budget.currency",
        "three capital letters, as EUR",
    ),
    Bad(
        "too many modules",
        "spec.lora.targetModules",
        ["q_proj"] * 65,
        "spec.lora.targetModules",
        "must have at most 64 items",
        "has 65 entries; it must have from 1 to 64",
    ),
    Bad(
        "too long an instruction",
        "spec.dataset.instruction",
        "x" * 16385,
        "spec.dataset.instruction",
        "16384",
        "16384",
    ),
    Bad(
        "an amount with a wrong unit",
        "spec.compute.resources.limits",
        {"memory": "16GB"},
        "spec.compute.resources.limits.memory",
        'an amount as 4, "500m" or "16Gi"',
    ),
    Bad(
        "a variable's name with a dash",
        "spec.compute.env",
        [{"name": "MY-VAR", "value": "1"}],
        "spec.compute.env[0].name",
        "write letters, digits and _, as in MY_NAME",
    ),
    Bad("a name of 64 characters", "metadata.name", "d" * 64, "metadata.name", "at most 63"),
    Bad(
        "a name with a capital", "metadata.name", "Demo", "metadata.name", "lowercase", "lower-case"
    ),
    Bad(
        "suspend as a text",
        "spec.suspend",
        "yes",
        "spec.suspend",
        "must be of type boolean",
        "true",
    ),
    Bad(
        "a time to live of a minute",
        "spec.ttlSecondsAfterFinished",
        60,
        "spec.ttlSecondsAfterFinished",
        "greater than or equal to 600",
        "600",
    ),
    Bad(
        "a base model without a source",
        "spec.source",
        {},
        "spec.source",
        "exactly one of huggingFace, git, s3, directory must be set",
        kind="BaseModel",
    ),
    Bad(
        "a base model with two sources",
        "spec.source.huggingFace",
        {"repo": "a/b"},
        "spec.source",
        "exactly one of huggingFace, git, s3, directory must be set",
        kind="BaseModel",
    ),
    Bad(
        "a look every minute",
        "spec.pollPeriodSeconds",
        60,
        "spec.pollPeriodSeconds",
        "greater than or equal to 300",
        "whole number of seconds from 300",
        kind="BaseModel",
    ),
)
