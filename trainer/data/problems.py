"""What is wrong with the data: every place at once, never a value of a row."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from trainer.contract.outcome import DataError

MAX_KEPT = 100_000
"""Errors kept one by one; a report beyond that helps nobody, the count goes on."""
MAX_SHOWN = 10


@dataclass(frozen=True, order=True, slots=True)
class Place:
    """A row: which file, by number, and the line it starts at (in Parquet: the row)."""

    file: int
    line: int


@dataclass(frozen=True)
class Fault:
    """One thing wrong with one row; ``ends_file``: with the file, so that rows are lost unseen."""

    field: str
    message: str
    ends_file: bool = False


class RowFaultError(Exception):
    """A row cannot be used; all that is wrong with it."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = faults


@dataclass
class Problems:
    """Collects faults; ``names`` are the files by number."""

    names: Sequence[str] = ()
    kept: list[tuple[Place, Fault]] = field(default_factory=list)
    rows: set[Place] = field(default_factory=set)
    count: int = 0
    is_fatal: bool = False

    def add(self, place: Place, *faults: Fault) -> None:
        """Note what is wrong with a row."""
        self.rows.add(place)
        self.count += len(faults)
        self.is_fatal |= any(fault.ends_file for fault in faults)
        if len(self.kept) < MAX_KEPT:
            self.kept += [(place, fault) for fault in faults]

    def where(self, place: Place) -> str:
        """``file:line``."""
        return f"{self.names[place.file]}:{place.line}"[-200:]

    def errors(self) -> list[DataError]:
        """Everything kept, in the order of the files."""
        ordered = sorted(self.kept, key=lambda pair: pair[0])
        return [
            DataError(place=self.where(place), field=fault.field[:100], message=fault.message[:300])
            for place, fault in ordered
        ]
