"""What was found, beside what was promised."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Line:
    """One figure. The promise is that it is not greater; None: it is only told."""

    what: str
    target: float | None
    found: float
    unit: str = ""
    note: str = ""

    @property
    def is_kept(self) -> bool:
        """Whether the promise is."""
        return self.target is None or self.found <= self.target

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {**asdict(self), "kept": self.is_kept}

    def as_row(self) -> str:
        """For people."""
        unit = f" {self.unit}" if self.unit else ""
        target = "" if self.target is None else f"{self.target:g}{unit}"
        ratio = "" if not self.target else f"{self.found / self.target:.2f}"
        found = (
            f"**{self.found:.2f}{unit}**" if self.target is not None else f"{self.found:.2f}{unit}"
        )
        return f"| {self.what} | {target} | {found} | {ratio} | {self.note} |"


def table(lines: Iterable[Line]) -> str:
    """As Markdown."""
    head = ["| figure | target | found | of target | |", "|---|---|---|---|---|"]
    return "\n".join([*head, *(line.as_row() for line in lines)]) + "\n"
