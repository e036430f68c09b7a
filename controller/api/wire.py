"""An object as it is written: JSON values in the API's spelling, and no floats."""

from decimal import Decimal
from math import isfinite
from typing import Any

from pydantic import BaseModel, JsonValue

SIGNIFICANT_DIGITS = 6


def to_document(model: BaseModel) -> dict[str, Any]:
    """The model with nothing where nothing is, and floats as decimal strings.

    Read back it is the same model, its floats rounded to six significant digits. A number that
    is not finite is left out: there is no decimal for it.
    """
    # Validated again, since model_copy puts in whatever it is given: an int where a float is.
    checked = type(model).model_validate(model.model_dump(by_alias=True))
    dumped = checked.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {name: _written(value) for name, value in dumped.items() if not _is_nothing(value)}


def decimal_string(number: float) -> str:
    """Plain notation, six significant digits, no zeros at the end: ``0.0125``."""
    text = format(Decimal(f"{number:.{SIGNIFICANT_DIGITS}g}"), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _written(value: JsonValue) -> JsonValue:
    if isinstance(value, float):
        return decimal_string(value)
    if isinstance(value, list):
        return [_written(element) for element in value]
    if isinstance(value, dict):
        return {name: _written(inner) for name, inner in value.items() if not _is_nothing(inner)}
    return value


def _is_nothing(value: JsonValue) -> bool:
    return value is None or (isinstance(value, float) and not isfinite(value))
