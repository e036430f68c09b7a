"""Numbers as people read them, each with its unit. A number that is not there says so."""

import math
from datetime import UTC, datetime

MISSING = "not measured"
NBSP = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
MAX_PLAIN = 1e6
SMALLEST_P = 0.001
SIZES = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def finite(*values: float | None) -> list[float]:
    """The values that can be drawn or compared."""
    return [value for value in values if value is not None and math.isfinite(value)]


def number(value: float | None, decimals: int = 1, *, signed: bool = False) -> str:
    """A bare number; for places where the unit is named beside it, as on an axis."""
    if not finite(value) or value is None:
        return MISSING
    plain = abs(value) < MAX_PLAIN
    text = f"{abs(value):,.{decimals}f}" if plain else f"{abs(value):.3g}"
    if not text.strip("0.,"):
        return text  # no sign on what is shown as zero
    return (MINUS if value < 0 else "+" if signed else "") + text


def percent(share: float | None, decimals: int = 1) -> str:
    """A share of one as per cent."""
    return with_unit(None if share is None else 100 * share, "%", decimals)


def percentage(share: float | None, *, signed: bool = False) -> str:
    """A share times hundred, where the unit follows, as in "from 12.0 to 15.0 points"."""
    return number(None if share is None else 100 * share, signed=signed)


def points(difference: float | None, *, signed: bool = True) -> str:
    """A difference of two shares in percentage points."""
    return with_unit(None if difference is None else 100 * difference, "points", signed=signed)


def nats(value: float | None, *, signed: bool = False) -> str:
    """Cross-entropy per token."""
    return with_unit(value, "nats", 3, signed=signed)


def with_unit(value: float | None, unit: str, decimals: int = 1, *, signed: bool = False) -> str:
    """A number and its unit, never broken over two lines."""
    text = number(value, decimals, signed=signed)
    return text if text == MISSING else f"{text}{NBSP}{unit}"


def level(confidence_percent: float) -> str:
    """A confidence level, with no more digits than it has."""
    return f"{confidence_percent:.4g}{NBSP}%" if finite(confidence_percent) else MISSING


def p_value(value: float) -> str:
    """A probability; a small one by its order."""
    if not finite(value):
        return MISSING
    return f"= {value:.2g}" if value >= SMALLEST_P else f"< {SMALLEST_P}"


def count(value: int, noun: str = "") -> str:
    """A whole number, with the thing counted; ``noun`` is its plural."""
    text = f"{value:,}".replace("-", MINUS)
    singular = noun.removesuffix("s") if value == 1 else noun
    return f"{text}{NBSP}{singular}" if noun else text


def size(number_of_bytes: int) -> str:
    """Bytes in decimal units."""
    for unit, factor in SIZES:
        if number_of_bytes >= factor:
            return with_unit(number_of_bytes / factor, unit)
    return count(number_of_bytes, "bytes")


def duration(seconds: float | None) -> str:
    """A time span in its two largest units."""
    if not finite(seconds) or seconds is None:
        return MISSING
    if round(seconds, 1) < 60:  # noqa: PLR2004 - a minute
        return with_unit(seconds, "s")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004 - an hour
        return f"{minutes}{NBSP}min {rest}{NBSP}s"
    hours, minutes = divmod(minutes, 60)
    return f"{number(hours, 0)}{NBSP}h {minutes}{NBSP}min"


def instant(created: str) -> datetime | None:
    """A moment written as ISO 8601, in UTC; None when it is not one."""
    try:
        moment = datetime.fromisoformat(created)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def moment(created: str) -> str:
    """A moment for people."""
    parsed = instant(created)
    return created if parsed is None else f"{parsed:%Y-%m-%d %H:%M} UTC"
