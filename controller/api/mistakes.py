"""What is wrong with one value, in words: the value, what it should be, what to write.

Pydantic finds that a value is wrong; the words come from the field's schema, so that they are
the same whichever branch of a union it failed in.
"""

import difflib
import json
import re
from typing import Any

from controller.api.compute import QUANTITY_PATTERN
from controller.api.spelling import is_uri, words_of
from controller.api.structural import INT_OR_STRING, Schema, is_decimal, walk
from trainer.contract.base import DECIMAL_PATTERN

MAX_SHOWN = 60
BESIDE = " or file://./path beside this file"
"""Only the command reads a file, so only there is something beside it."""

_DURATION = re.compile(r"^([0-9]+) ?(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?)$")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def unknown_field(name: str, value: Any, above: Schema, whole: Schema) -> str:  # noqa: ANN401 - any JSON value
    """The nearest field that there is: here, or the same name in another section."""
    known = list(above.get("properties", {}))
    said = f'there is no field "{name}"'
    timed = f"{name.removesuffix('Seconds')}Seconds"
    seconds = _seconds(value)
    if timed in known:
        return f"{said}; did you mean {timed}? write {timed}: {seconds or '<whole seconds>'}"
    near = _nearest(name, known)
    if near:
        return f'{said}; did you mean "{near}"?'
    elsewhere = [path for path, _ in walk(whole) if path.rpartition(".")[2] == name]
    if elsewhere:
        return f'{said} here; did you mean "{elsewhere[0]}"?'
    return f"{said}; there are {', '.join(known)}" if known else f"{said}; remove it"


def missing_field(field: Schema) -> str:
    """What belongs there."""
    words = str(field.get("description") or "a value").rstrip(".")
    choices = f": one of {', '.join(field['enum'])}" if "enum" in field else ""
    is_sentence = words.split(" ", 1)[0][1:].islower()
    return (
        f"is missing; add it ({words[0].lower() if is_sentence else words[0]}{words[1:]}{choices})"
    )


def wrong_value(name: str, value: Any, spelled: str | None, field: Schema) -> str:  # noqa: ANN401 - any JSON value
    """Why the field does not take the value, and what to write instead."""
    shown = spelled if spelled is not None else _shown(value)
    if "enum" in field:
        return _not_in(shown, value, field["enum"])
    if INT_OR_STRING in field:
        return _not_int_or_string(shown, value, field)
    if field.get("type") == "integer":
        return _not_whole(name, shown, value, field)
    if field.get("type") == "string":
        return _not_text(shown, value, field)
    if isinstance(value, list) and field["type"] == "array":
        return f"has {len(value)} entries; it must have{_limits(field, 'minItems', 'maxItems')}"
    return f"is {shown}; {_OTHERS[field['type']].format(shown)}"


_OTHERS = {
    "object": "it must be a section of fields, one per line below it",
    "array": "it must be a list: write [{}]",
    "boolean": "write true or false, without quotes",
}


def _not_in(shown: str, value: Any, words: list[str]) -> str:  # noqa: ANN401 - any JSON value
    near = _nearest(str(value), words)
    choices = words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    remedy = f"; write {near}" if near and len(words) > 1 else ""
    return f"is {shown}; it must be {choices}{remedy}"


def _not_int_or_string(shown: str, value: Any, field: Schema) -> str:  # noqa: ANN401 - any JSON value
    if field.get("pattern") == QUANTITY_PATTERN:
        quoted = f': write "{shown}"' if isinstance(value, float) else ""
        return f'is {shown}; it must be an amount as 4, "500m" or "16Gi"{quoted}'
    least = f" of at least {field['minimum']}" if "minimum" in field else ""
    rule = f"it must be Auto or a whole number{least}"
    if isinstance(value, str) and value.isdigit():
        return f"is {shown}; write {value} without quotes"
    if isinstance(value, str) and value.lower() == "auto":
        return f"is {shown}; write Auto"
    return f"is {shown}; {rule}"


def _not_whole(name: str, shown: str, value: Any, field: Schema) -> str:  # noqa: ANN401 - any JSON value
    seconds = _seconds(value) if isinstance(value, str) else None
    if name.endswith("Seconds") and seconds is not None:
        return f"is {shown}; durations are whole seconds: write {seconds}"
    if isinstance(value, str) and value.isdigit():
        return f"is {shown}; write {value} without quotes"
    if isinstance(value, float) and value.is_integer():
        return f"is {shown}; write {int(value)}"
    unit = " of seconds" if name.endswith("Seconds") else ""
    return f"is {shown}; it must be a whole number{unit}{_limits(field)}"


def _limits(field: Schema, least: str = "minimum", most: str = "maximum") -> str:
    low, high = field.get(least), field.get(most)
    if low is None:
        return f" of at most {high}" if high is not None else ""
    return f" of at least {low}" if high is None else f" from {low} to {high}"


def _not_text(shown: str, value: Any, field: Schema) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict | list):
        return f"is {shown}; it must be a text"
    if not isinstance(value, str) and is_decimal(field):
        return f'is a bare {shown}; decimals are written in quotes: "{_as_decimal(shown)}"'
    if not isinstance(value, str):
        return f'is a bare {shown}; this is a text: write "{shown}" in quotes'
    if len(value) > field.get("maxLength", len(value)):
        return f"is {len(value)} characters long; write at most {field['maxLength']}"
    if len(value) < field.get("minLength", 0):
        return "is empty; give it a value or remove the line"
    return f"is {shown}; write {words_of(field)}{BESIDE if is_uri(field) else ''}"


def _as_decimal(spelled: str) -> str:
    """The spelling that the API takes for a bare number: no plus sign, no missing digit."""
    text = spelled.lower().replace("+", "").replace("_", "")
    text = re.sub(r"^(-?)\.", r"\g<1>0.", text)
    text = re.sub(r"\.(e|$)", r"\g<1>", text)
    return text if re.match(DECIMAL_PATTERN, text) else spelled


def _seconds(value: Any) -> int | None:  # noqa: ANN401 - any JSON value
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _DURATION.match(value.strip()) if isinstance(value, str) else None
    return int(match[1]) * _SECONDS[match[2][0]] if match else None


def _nearest(name: str, known: list[str]) -> str | None:
    folded = {_folded(word): word for word in known}
    if _folded(name) in folded:
        return folded[_folded(name)]
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.6)), None)


def _folded(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()


def _shown(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return "a section"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
