"""An object as it is written: JSON values in the API's spelling, and no floats."""

from decimal import Decimal
from typing import Any

from pydantic import BaseModel, JsonValue
from pydantic_core import PydanticSerializationError

from trainer.contract.base import MAX_DECIMAL_LENGTH

SIGNIFICANT_DIGITS = 6
SMALLEST, TOO_LARGE = 1e-99, 1e99
"""An exponent has two digits in the API."""


def to_document(model: BaseModel) -> dict[str, Any]:
    """The model with nothing where nothing is, and floats as decimal strings.

    Read back it is the same model, its floats rounded to six significant digits. A number that
    is not finite, or of 1e99 and more, is left out: there is no decimal for it.
    """
    dumped = _dumped(model)
    return {name: _written(value) for name, value in dumped.items() if not _is_nothing(value)}


def _dumped(model: BaseModel) -> dict[str, Any]:
    """As JSON values. What model_copy has put in unread is read first: a text for an enum."""
    try:
        return model.model_dump(mode="json", by_alias=True, exclude_none=True, warnings="error")
    except PydanticSerializationError:
        checked = type(model).model_validate(model.model_dump(by_alias=True, warnings=False))
        return checked.model_dump(mode="json", by_alias=True, exclude_none=True)


def decimal_string(number: float) -> str:
    """Plain notation, six significant digits, no zeros at the end: ``0.0125``.

    A number too small or too large to be written so, as a p-value may be, is ``1.7e-18``; below
    1e-99 it is 0.
    """
    short = f"{number:.{SIGNIFICANT_DIGITS}g}"
    text = format(Decimal(short), "f")
    if len(text) > MAX_DECIMAL_LENGTH:
        return short.replace("e+", "e") if abs(number) >= SMALLEST else "0"
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
    return value is None or (isinstance(value, float) and not abs(value) < TOO_LARGE)
