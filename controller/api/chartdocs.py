"""What is written of the chart's values: values.yaml, values.schema.json and docs/chart.md."""

import json
import textwrap
from collections.abc import Iterator
from typing import Any

import yaml

from controller.api.chart import Values
from controller.api.structural import Schema

WIDTH = 98

VALUES_HEAD = """# Values of the chart tunekeeper.
# Generated from controller/api/chart.py by `make generate`; do not edit.
"""

PAGE_HEAD = """# The chart's values

Generated from `controller/api/chart.py` by `make generate`; do not edit. How to install:
"With helm" in docs/install.md.

A value that is not in this table, or of another type, is refused by helm before anything is made.

| value | default | meaning |
|---|---|---|
"""


def values_schema() -> Schema:
    """The JSON schema by which helm judges the values."""
    made = Values.model_json_schema(by_alias=True)
    schema = _inlined({**made, "description": "Values of the chart tunekeeper."}, made["$defs"])
    return {"$schema": "https://json-schema.org/draft-07/schema#", **schema}


def schema_json() -> str:
    """values.schema.json."""
    return json.dumps(values_schema(), indent=2, ensure_ascii=False) + "\n"


def values_yaml() -> str:
    """values.yaml: every value with its default, below what it means."""
    return VALUES_HEAD + "\n".join(_lines(values_schema(), "")) + "\n"


def chart_markdown() -> str:
    """docs/chart.md."""
    return PAGE_HEAD + "".join(f"{row}\n" for row in _rows(values_schema(), ""))


def _inlined(schema: Any, definitions: Schema) -> Any:  # noqa: ANN401 - any part of a schema
    """Without references and titles; a field's own description goes before its type's."""
    if isinstance(schema, list):
        return [_inlined(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        target = definitions[schema["$ref"].rpartition("/")[2]]
        return _inlined(target | {k: v for k, v in schema.items() if k != "$ref"}, definitions)
    kept = {key: part for key, part in schema.items() if key not in ("$defs", "default")}
    made = {
        key: _fields(part, definitions) if key == "properties" else _inlined(part, definitions)
        for key, part in kept.items()
        if not (key == "title" and isinstance(part, str))
    }
    return made | ({"default": schema["default"]} if "default" in schema else {})


def _fields(fields: Schema, definitions: Schema) -> Schema:
    """A field may be called as a keyword is."""
    return {name: _inlined(field, definitions) for name, field in fields.items()}


def _lines(schema: Schema, indent: str) -> Iterator[str]:
    for name, field in schema["properties"].items():
        if not indent:
            yield ""
        for line in textwrap.wrap(field["description"], WIDTH - len(indent)):
            yield f"{indent}# {line}"
        if "properties" in field:
            yield f"{indent}{name}:"
            yield from _lines(field, f"{indent}  ")
        else:
            written = yaml.safe_dump({name: field["default"]}, sort_keys=False, width=WIDTH)
            yield from (f"{indent}{line}" for line in written.splitlines())


def _rows(schema: Schema, path: str) -> Iterator[str]:
    for name, field in schema["properties"].items():
        if "properties" in field:
            yield from _rows(field, f"{path}{name}.")
        else:
            default = json.dumps(field["default"], ensure_ascii=False)
            words = "; ".join(str(word) for word in field.get("enum", ()))
            meaning = field["description"] + (f" One of: {words}." if words else "")
            yield f"| `{path}{name}` | `{default}` | {meaning} |"
