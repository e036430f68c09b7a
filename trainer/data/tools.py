"""Tools and their calls in chat rows: read in the forms that people have, kept in one."""

import json
from collections.abc import Mapping
from typing import Any

from trainer.data.problems import Fault

TOOLS = "tools"
"""The column."""


def read_tools(value: object, faults: list[Fault]) -> list[dict[str, Any]]:
    """What a row may call: a list of functions, or the same as JSON text; empty: nothing.

    Parquet gives every object of a column the same keys, so there JSON text is the way.
    """
    tools = from_text(value)
    if not tools:
        return []
    if isinstance(tools, list) and all(name_of(each) for each in tools):
        return tools
    message = (
        'must be a list of {"type": "function", "function": {"name", "description", '
        '"parameters"}}, or the same as JSON text'
    )
    faults.append(Fault(TOOLS, message))
    return []


def read_calls(value: object, place: str, faults: list[Fault]) -> list[dict[str, Any]]:
    """The calls of a turn; arguments given as JSON text become the object that templates print."""
    calls = from_text(value)
    if not calls:
        return []
    if not isinstance(calls, list) or not all(name_of(each) for each in calls):
        message = 'must be a list of {"function": {"name", "arguments"}}'
        faults.append(Fault(f"{place}.tool_calls", message))
        return []
    return [with_arguments(call, place, faults) for call in calls]


def with_arguments(call: dict[str, Any], place: str, faults: list[Fault]) -> dict[str, Any]:
    """The call, with its arguments as an object."""
    inner = call.get("function", call)
    arguments = from_text(inner.get("arguments", {}))
    if not isinstance(arguments, dict):
        message = "has arguments that are no JSON object"
        faults.append(Fault(f"{place}.tool_calls", message))
    function = {**inner, "arguments": arguments}
    return {"type": "function", **call, "function": function} if "function" in call else function


def name_of(tool: object) -> str:
    """Of a function on offer, or of a call; empty: it is neither."""
    inner = tool.get("function", tool) if isinstance(tool, Mapping) else None
    name = inner.get("name") if isinstance(inner, Mapping) else None
    return name if isinstance(name, str) else ""


def from_text(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """JSON text as its value; what is no JSON stays text."""
    if not isinstance(value, str) or not value.strip():
        return value or None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
