"""From pydantic's JSON schema to the structural schema that Kubernetes wants.

Pydantic writes references, titles, null branches, ``const`` and unions; an API server takes none
of them. What comes out has no references, bounds on every string, list and map (the cost of CEL
rules is estimated from them), and decimal strings in the place of floats.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from trainer.contract.base import DECIMAL_PATTERN

Schema = dict[str, Any]

MAX_STRING = 1024
MAX_ITEMS = 64
"""Bounds where the type has none: parts of the status, which the operator itself writes."""

INT_OR_STRING = "x-kubernetes-int-or-string"
PRESERVE = "x-kubernetes-preserve-unknown-fields"
VALIDATIONS = "x-kubernetes-validations"

_DECIMAL: Schema = {"type": "string", "pattern": DECIMAL_PATTERN, "maxLength": 24}
_COPIED = (
    "description",
    "default",
    "type",
    "enum",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
)


def structural_schema(model: type[BaseModel]) -> Schema:
    """The structural schema of a model, as it is written on the wire."""
    schema = model.model_json_schema(by_alias=True)
    return _convert(schema, schema.get("$defs", {}))


def walk(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every field below an object with its path, depth first: ``evaluation.arms[].name``."""
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield here, field
        yield from walk(field, here)
        yield from walk(field.get("items", {}), f"{here}[]")


def is_leaf(field: Schema) -> bool:
    """Whether the field holds a value rather than fields of its own."""
    return "properties" not in field and "properties" not in field.get("items", {})


def is_decimal(field: Schema) -> bool:
    """Whether the field is a number in quotes, or Auto in its place."""
    return field.get("pattern") in (DECIMAL_PATTERN, _either(["Auto"], DECIMAL_PATTERN))


def _convert(schema: Schema, definitions: Schema) -> Schema:
    schema = _resolve(schema, definitions)
    branches = [_resolve(branch, definitions) for branch in schema.get("anyOf", ())]
    branches = [branch for branch in branches if branch.get("type") != "null"]
    if branches:
        schema = _joined(branches) | {k: v for k, v in schema.items() if k != "anyOf"}
    return _bounded(_plain(schema, definitions))


def _resolve(schema: Schema, definitions: Schema) -> Schema:
    """The schema with its reference put in; its own description goes before the target's."""
    if "$ref" not in schema:
        return schema
    target = definitions[schema["$ref"].rpartition("/")[2]]
    own = {key: value for key, value in schema.items() if key != "$ref"}
    return _resolve(target, definitions) | own


def _joined(branches: list[Schema]) -> Schema:
    """One schema for a union: of enums, of Auto and a patterned string, or of int and string."""
    if len(branches) == 1:
        return branches[0]
    words = [word for branch in branches for word in _words(branch)]
    whole = [branch for branch in branches if branch.get("type") == "integer"]
    texts = [branch for branch in branches if not _words(branch) and branch not in whole]
    if whole:
        return _int_or_string(whole[0], words, texts)
    if not texts:
        return {"type": "string", "enum": words}
    return texts[0] | {"pattern": _either(words, texts[0]["pattern"])}


def _words(branch: Schema) -> list[str]:
    if "const" in branch:
        return [branch["const"]]
    return list(branch.get("enum", ()))


def _either(words: list[str], pattern: str) -> str:
    return f"^({'|'.join([*words, pattern.removeprefix('^').removesuffix('$')])})$"


def _int_or_string(whole: Schema, words: list[str], texts: list[Schema]) -> Schema:
    """``pattern`` judges strings only and ``minimum`` numbers only, so both can stand here."""
    limits: Schema = {key: whole[key] for key in ("minimum", "maximum") if key in whole}
    if texts:
        text = texts[0]
        return limits | {key: text[key] for key in ("pattern", "maxLength")} | {INT_OR_STRING: True}
    least = f" of at least {whole['minimum']}" if "minimum" in whole else ""
    rule: Schema = {
        "rule": f"type(self) == string ? self == '{words[0]}' : {_within(limits)}",
        "message": f"must be {words[0]} or a whole number{least}, without quotes",
    }
    return limits | {INT_OR_STRING: True, "maxLength": len(words[0]), VALIDATIONS: [rule]}


def _within(limits: Schema) -> str:
    least = [f"self >= {limits['minimum']}"] if "minimum" in limits else []
    most = [f"self <= {limits['maximum']}"] if "maximum" in limits else []
    return " && ".join([*least, *most]) or "true"


def _plain(schema: Schema, definitions: Schema) -> Schema:
    """The keywords that Kubernetes knows, with everything below converted too."""
    result = {key: schema[key] for key in _COPIED if key in schema}
    result |= {key: value for key, value in schema.items() if key.startswith("x-kubernetes-")}
    if result.get("default", ...) is None:
        del result["default"]
    if "const" in schema:
        result["enum"] = [schema["const"]]
    if schema.get("type") == "number":
        result = _as_decimal(result)
    if "items" in schema:
        result["items"] = _convert(schema["items"], definitions)
    if "properties" in schema:
        result |= _fields(schema, definitions)
    elif isinstance(schema.get("additionalProperties"), dict) and PRESERVE not in schema:
        result["additionalProperties"] = _convert(schema["additionalProperties"], definitions)
    return result


def _as_decimal(schema: Schema) -> Schema:
    kept = {key: schema[key] for key in ("description",) if key in schema}
    return kept | _DECIMAL


def _fields(schema: Schema, definitions: Schema) -> Schema:
    required = schema.get("required", [])
    fields = {}
    for name, field in schema["properties"].items():
        fields[name] = _convert(field, definitions)
        if name not in required and _has_own_defaults(field, fields[name]):
            fields[name]["default"] = {}  # so that the API server fills in what is below
    result: Schema = {"properties": fields}
    return result | ({"required": required} if required else {})


def _has_own_defaults(field: Schema, converted: Schema) -> bool:
    """Whether an absent section stands for its defaults, rather than for nothing."""
    return "properties" in converted and "anyOf" not in field


def _bounded(schema: Schema) -> Schema:
    is_free_text = schema.get("type") == "string" and not {"enum", "format"} & schema.keys()
    if is_free_text:
        schema.setdefault("maxLength", MAX_STRING)
    if schema.get("type") == "array":
        schema.setdefault("maxItems", MAX_ITEMS)
    if "additionalProperties" in schema:
        schema.setdefault("maxProperties", MAX_ITEMS)
    return schema
