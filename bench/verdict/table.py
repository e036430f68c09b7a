"""What is promised, and the lines that say how it was kept."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from scipy.stats import binomtest


class Promise:
    """The figures of the design."""

    ERROR, COVERAGE, POWER = 0.05, 0.93, 0.80
    CLOSE = (0.94, 0.96)
    MANY, DISCORDANT = 300, 0.1
    """With so many independent items (or groups) of which so many differ, coverage is close."""

    @classmethod
    def error(cls, bound: float) -> bool:
        """One-sided."""
        return bound <= cls.ERROR

    @classmethod
    def covers(cls, coverage: float) -> bool:
        """Everywhere."""
        return coverage >= cls.COVERAGE

    @classmethod
    def is_close(cls, coverage: float) -> bool:
        """With many items."""
        return cls.CLOSE[0] <= coverage <= cls.CLOSE[1]


@dataclass(frozen=True)
class Line:
    """One cell. What it does not measure is None."""

    part: str
    world: str
    n: int
    kept: bool
    threshold: float = 0.0
    draws: int = 0
    error: float | None = None
    bound: float | None = None
    coverage: float | None = None
    power: float | None = None
    refused: int = 0
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return asdict(self)


def upper(count: int, of: int) -> float:
    """Upper bound of a rate, 95 % one-sided, exact."""
    return float(binomtest(count, of).proportion_ci(0.9, method="exact").high)


def lower(count: int, of: int) -> float:
    """Lower bound of a rate, 95 % one-sided, exact."""
    return float(binomtest(count, of).proportion_ci(0.9, method="exact").low)


COLUMNS = ("world", "n", "threshold", "draws", "error", "bound", "coverage", "power", "refused")


def table(lines: Sequence[Line]) -> str:
    """Markdown; a broken promise is marked. Columns that no line has are left out."""
    shown = [name for name in COLUMNS if any(_is_told(line, name) for line in lines)]
    head = f"| {' | '.join([*shown, 'note'])} |\n|{'---|' * (len(shown) + 1)}\n"
    return head + "".join(_row(line, shown) for line in lines)


def _is_told(line: Line, name: str) -> bool:
    return name in ("world", "n") or getattr(line, name) not in (None, 0)


def _row(line: Line, shown: Sequence[str]) -> str:
    cells = [_cell(getattr(line, name)) for name in shown]
    note = line.note if line.kept else f"**BROKEN** {line.note}"
    return f"| {' | '.join([*cells, note])} |\n"


def _cell(value: float | str | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value}"
