"""docs/api.md: every field of both kinds, from the same descriptions as the CRDs."""

from collections.abc import Iterator

from controller.api.autos import AUTOS
from controller.api.classes import FIELD_RULES
from controller.api.conditions import ConditionType
from controller.api.crd import KINDS, Kind, object_schema
from controller.api.finetunejob import KIND as FINE_TUNE_JOB
from controller.api.meta import API_VERSION
from controller.api.reasons import Reason
from controller.api.structural import INT_OR_STRING, Schema, is_decimal, is_leaf, walk
from controller.api.unsupported import REFUSALS

HEAD = f"""# API reference

Generated from the types by `make generate`; do not edit. Group and version: `{API_VERSION}`.

Decimals are strings in quotes (`"0.05"`), durations are whole seconds, references name an object
in the same namespace. A field or value marked **Later** is part of the API, and refused by this
release. Sections that are not required may be left out. The class of a field says
[what a change of it leads to](#what-a-change-of-a-field-leads-to). A whole job to begin with:
[getting-started.md](getting-started.md#4-a-job).
"""

CLASSES = """## What a change of a field leads to

| class | a change leads to |
|---|---|
| identity | a new run |
| generation | the answers again, on the adapter that is there; no training |
| execution | nothing by itself; it applies to the next attempt |
| control | at most another judgement; never a new training |
"""


def api_markdown() -> str:
    """The whole page."""
    parts = [HEAD, *(_kind(kind) for kind in reversed(KINDS)), CLASSES, _autos(), _words()]
    return "\n".join(parts)


def _kind(kind: Kind) -> str:
    schema = object_schema(kind)["properties"]
    is_job = kind.kind == FINE_TUNE_JOB
    head = "| field | type | default | class | meaning |\n|---|---|---|---|---|"
    spec = "\n".join(_spec_rows(schema["spec"], is_job=is_job))
    status = "\n".join(_status_rows(schema["status"]))
    return (
        f"## {kind.kind}\n\n{kind.description}\n\n### {kind.kind} spec\n\n{head}\n{spec}\n\n"
        f"### {kind.kind} status\n\n| field | type | meaning |\n|---|---|---|\n{status}\n"
    )


def _spec_rows(spec: Schema, *, is_job: bool) -> Iterator[str]:
    later = {
        row.path: f" **Later**{f': {row.values}' if row.values else ''}."
        for row in (REFUSALS if is_job else ())
    }
    required = set(_required(spec))
    for path, field in walk(spec):
        rule = FIELD_RULES.get(path) if is_job else None
        default = "required" if path in required else _default(field)
        yield _row(
            f"`{path}`",
            _type(field),
            default,
            rule.field_class.value if rule else "",
            _meaning(field) + later.get(path, ""),
        )


def _status_rows(status: Schema) -> Iterator[str]:
    for path, field in walk(status):
        yield _row(f"`{path}`", _type(field), _meaning(field))


def _required(schema: Schema, path: str = "") -> Iterator[str]:
    for name in schema.get("required", ()):
        yield f"{path}{name}"
    for name, field in schema.get("properties", {}).items():
        yield from _required(field, f"{path}{name}.")
        yield from _required(field.get("items", {}), f"{path}{name}[].")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _type(field: Schema) -> str:
    if field.get("enum") == list(Reason):
        return "a [reason](#conditions-and-reasons)"
    if "enum" in field:
        return ", ".join(field["enum"])
    if INT_OR_STRING in field:
        return "Auto or whole number" if "pattern" not in field else "amount"
    match field.get("type"):
        case "array":
            return f"list of {_type(field['items'])}"
        case "object":
            of = field.get("additionalProperties")
            return "section" if of is None else f"map of {_type(of)}"
        case kind:
            return _scalar_type(str(kind), field)


def _scalar_type(kind: str, field: Schema) -> str:
    if is_decimal(field):
        return "Auto or decimal" if "Auto" in field["pattern"] else "decimal"
    if kind == "integer":
        return f"whole number{_limits(field)}"
    if kind == "string":
        return "time" if field.get("format") == "date-time" else "text"
    return kind


def _limits(field: Schema) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    if low is None and high is None:
        return ""
    return f", {'' if low is None else low} to {high}" if high is not None else f", from {low}"


def _default(field: Schema) -> str:
    default = field.get("default")
    if default in (None, "", {}, []):
        return ""
    if not is_leaf(field):
        return ", ".join(str(element["name"]) for element in default)
    text = ", ".join(default) if isinstance(default, list) else str(default)
    return f"`{text.lower() if isinstance(default, bool) else text}`"


def _meaning(field: Schema) -> str:
    return " ".join(str(field.get("description", "")).split())


def _autos() -> str:
    rows = "\n".join(_row(f"`{auto.field}`", auto.stage.value, auto.rule) for auto in AUTOS)
    return f"## Auto\n\n| field | resolved by | rule |\n|---|---|---|\n{rows}\n"


def _words() -> str:
    conditions = ", ".join(f"`{kind.value}`" for kind in ConditionType)
    reasons = ", ".join(f"`{reason.value}`" for reason in sorted(Reason))
    return (
        f"## Conditions and reasons\n\nConditions: {conditions}.\n\n"
        f"Reasons, of conditions, events and metrics alike: {reasons}.\n\n"
        "What each condition means: [conditions.md](conditions.md). Each reason with its cause\n"
        "and remedy: [troubleshooting.md](troubleshooting.md).\n"
    )
