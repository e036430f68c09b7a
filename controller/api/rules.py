"""Rules over more than a field's own type: for the API server in CEL, beside it for the command.

One row says both, so that a file that is valid here is valid there. The Python side reads the
document as it was written, before defaults.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.api import basemodel, finetunejob
from controller.api.meta import MAX_JOB_NAME
from controller.api.structural import INT_OR_STRING, Schema

Holds = Callable[[Any], bool]


@dataclass(frozen=True)
class Rule:
    """What must hold of the value at ``path``."""

    path: str
    """Of the object that the rule stands on: ``spec.evaluation.arms[].margin``."""
    cel: str
    holds: Holds
    message: str
    field: str = ""
    """The field below ``path`` that the message is about."""


def _exactly_one_of(path: str, names: Sequence[str]) -> Rule:
    present = ", ".join(f"has(self.{name})" for name in names)
    return Rule(
        path,
        f"[{present}].filter(x, x).size() == 1",
        lambda value: sum(name in value for name in names) == 1,
        f"exactly one of {', '.join(names)} must be set",
    )


def _between(path: str, low: str, high: str = "", *, is_open: bool = False) -> Rule:
    """A decimal within limits; ``is_open`` leaves out the lower one."""
    least = f"double(self) {'>' if is_open else '>='} {low}"
    most = f" && double(self) <= {high}" if high else ""
    words = f"must be {'more than' if is_open else 'at least'} {float(low):g}"
    return Rule(
        path,
        f"self == 'Auto' || ({least}{most})",
        lambda value: value == "Auto" or _is_within(value, low, high, is_open=is_open),
        words + (f" and at most {float(high):g}" if high else ""),
    )


def _is_within(value: str, low: str, high: str, *, is_open: bool) -> bool:
    number = float(value)
    is_above = number > float(low) if is_open else number >= float(low)
    return is_above and (not high or number <= float(high))


def _is_output_apart(spec: Mapping[str, Any]) -> bool:
    output, data = spec["output"]["uri"], spec["dataset"]["train"]["uri"]
    return not f"{output.rstrip('/')}/".startswith(f"{data.rstrip('/')}/")


def _has_grader_when_asked(evaluation: Mapping[str, Any]) -> bool:
    return (evaluation.get("metric") == "Grader") == ("grader" in evaluation)


def _has_own_names(arms: Sequence[Mapping[str, Any]]) -> bool:
    return len({arm["name"] for arm in arms}) == len(arms)


SOURCES = ("huggingFace", "git", "s3", "directory")

JOB_RULES: tuple[Rule, ...] = (
    Rule(
        "",
        f"size(self.metadata.name) <= {MAX_JOB_NAME}",
        lambda job: len(job["metadata"]["name"]) <= MAX_JOB_NAME,
        f"must be at most {MAX_JOB_NAME} characters long",
        field="metadata.name",
    ),
    _exactly_one_of("spec.baseModel", ("name", *SOURCES)),
    Rule(
        "spec",
        "!((self.output.uri.endsWith('/') ? self.output.uri : self.output.uri + '/')"
        ".startsWith(self.dataset.train.uri.endsWith('/') ? self.dataset.train.uri"
        " : self.dataset.train.uri + '/'))",
        _is_output_apart,
        "must not lie inside dataset.train.uri, or results would be read as data; "
        "choose another prefix",
        field="output.uri",
    ),
    Rule(
        "spec.dataset.split.testPercent",
        "type(self) == string ? self == 'Auto' : (self >= 1 && self <= 30)",
        lambda value: value == "Auto" or 1 <= value <= 30,  # noqa: PLR2004 - the rule itself
        "must be Auto or a whole number from 1 to 30, without quotes",
    ),
    _between("spec.lora.dropout", "0.0", "0.99"),
    _between("spec.training.learningRate", "0.0", "1.0", is_open=True),
    _between("spec.training.weightDecay", "0.0"),
    _between("spec.training.maxGradNorm", "0.0"),
    _between("spec.training.earlyStopping.minDelta", "0.0"),
    _between("spec.training.dpoBeta", "0.0", is_open=True),
    Rule(
        "spec.evaluation",
        "(has(self.metric) && self.metric == 'Grader') == has(self.grader)",
        _has_grader_when_asked,
        "grader and metric: Grader belong together; set both or neither",
        field="grader",
    ),
    Rule(
        "spec.evaluation.arms",
        "self.all(a, self.exists_one(b, b.name == a.name))",
        _has_own_names,
        "an arm can be listed once only; remove the repeated name",
    ),
    _between("spec.evaluation.arms[].margin", "0.0", "1.0"),
    _between("spec.evaluation.minDelta", "0.0", "1.0"),
    _between("spec.evaluation.smallestEffect", "0.0", "1.0", is_open=True),
    _between("spec.evaluation.targetScore", "0.0", "1.0"),
    _between("spec.evaluation.forgetting.maxIncrease", "0.0"),
    _between("spec.budget.pricePerGpuHour", "0.0"),
)

BASE_MODEL_RULES: tuple[Rule, ...] = (_exactly_one_of("spec.source", SOURCES),)

RULES: dict[str, tuple[Rule, ...]] = {
    finetunejob.KIND: JOB_RULES,
    basemodel.KIND: BASE_MODEL_RULES,
}


def add_rules(schema: Schema, rules: Sequence[Rule]) -> None:
    """Put each rule's CEL where it stands; on an int-or-string it replaces the general one."""
    for rule in rules:
        target = _below(schema, rule.path)
        general = [] if INT_OR_STRING in target else target.get("x-kubernetes-validations", [])
        is_named = rule.message.startswith(rule.field)
        message = rule.message if is_named else f"{rule.field} {rule.message}"
        ours = {"rule": rule.cel, "message": message}
        target["x-kubernetes-validations"] = [*general, ours]


def _below(schema: Schema, path: str) -> Schema:
    for name in filter(None, path.split(".")):
        schema = schema["properties"][name.removesuffix("[]")]
        schema = schema["items"] if name.endswith("[]") else schema
    return schema
