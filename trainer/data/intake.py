"""The first pass: every file read once, every row validated, good rows spooled."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

import numpy as np

from trainer.contract.failures import FailureClass
from trainer.contract.source import Dataset
from trainer.data.duplicates import Mask
from trainer.data.files import SourceFile
from trainer.data.problems import Fault, Place, Problems, RowFaultError
from trainer.data.reading import RawRow, Row, read_rows
from trainer.data.shape import (
    CHAT,
    COMPLETION,
    PREFERENCE,
    TEXT,
    Shape,
    format_of,
    missing_column,
    required_columns,
)
from trainer.data.split import CODES, Codes
from trainer.data.spool import Spool, as_keys
from trainer.errors import StageError

LOOK_AHEAD_ROWS = 100
STOP_PERIOD_ROWS = 256

PlacedRow = tuple[Place, Row | Fault]


@dataclass
class Intake:
    """What was read: good rows in the spool, the others in ``problems``."""

    files: Sequence[SourceFile]
    spool: Spool
    problems: Problems
    kind: str = ""
    rows: int = 0
    rows_of_file: dict[int, int] = field(default_factory=dict)

    @property
    def given(self) -> Codes:
        """The split that each row's file was given for."""
        codes = np.array([CODES[file.split] for file in self.files], np.int8)
        return codes[np.frombuffer(self.spool.files, np.uint16)] if len(self.spool) else codes[:0]


def take_in(
    dataset: Dataset,
    files: Sequence[SourceFile],
    path: Path,
    *,
    on_bytes: Callable[[int], None],
    stop: threading.Event,
) -> Intake:
    """Read everything; ``path`` is where good rows are spooled.

    Raises:
        StageError: the format is not supported, or the stage was told to stop.
    """
    intake = Intake(files, Spool(path), Problems(names_of(files)))
    rows = stoppable(all_rows(files, on_bytes), stop)
    first = list(islice(rows, LOOK_AHEAD_ROWS))
    intake.kind = find_format(dataset, first, intake.problems)
    if intake.problems.is_fatal:
        intake.rows = len(first)
        return intake
    shape = Shape.of(intake.kind, dataset)
    for place, content in chain(first, rows):
        intake.rows += 1
        intake.rows_of_file[place.file] = intake.rows_of_file.get(place.file, 0) + 1
        take_row(intake, shape, place, content)
    intake.spool.close()
    find_empty(intake)
    return intake


def names_of(files: Sequence[SourceFile]) -> list[str]:
    """Names that tell the files apart: the split is added where two have the same."""
    names = [file.name for file in files]
    return [
        f"{file.split}/{file.name}" if names.count(file.name) > 1 else file.name for file in files
    ]


def all_rows(files: Sequence[SourceFile], on_bytes: Callable[[int], None]) -> Iterator[PlacedRow]:
    """The rows of all files, in order."""
    for number, file in enumerate(files):
        yield from (placed(number, row) for row in read_rows(file, on_bytes))


def placed(number: int, row: RawRow) -> PlacedRow:
    """A raw row with its place."""
    return Place(number, row.line), row.content


def stoppable(rows: Iterator[PlacedRow], stop: threading.Event) -> Iterator[PlacedRow]:
    """Rows until the stage is told to stop."""
    for number, row in enumerate(rows):
        if number % STOP_PERIOD_ROWS == 0:
            check_stop(stop)
        yield row


def check_stop(stop: threading.Event) -> None:
    """Raises StageError when the stage was told to stop."""
    if stop.is_set():
        message = "prepare was stopped; nothing was published, run again to start over"
        raise StageError(FailureClass.INTERRUPTED, message)


def take_row(intake: Intake, shape: Shape, place: Place, content: Row | Fault) -> None:
    """Spool a row, or note what is wrong with it."""
    if isinstance(content, Fault):
        intake.problems.add(place, content)
        return
    try:
        intake.spool.append(place, shape.parse(content))
    except RowFaultError as error:
        intake.problems.add(place, *error.faults)


def find_format(dataset: Dataset, first: Sequence[PlacedRow], problems: Problems) -> str:
    """The format of the data; what is wrong with the columns of all rows is noted.

    Raises:
        StageError: a format that no stage can work with yet.
    """
    rows = [(place, content) for place, content in first if not isinstance(content, Fault)]
    kinds: dict[str, Place] = {}
    for place, row in rows:
        found = format_of(row, dataset.fields)
        if found is not None:
            kinds.setdefault(found, place)
    if dataset.format == "Auto" and len(kinds) > 1:
        note_mixed(kinds, problems)
        return ""
    kind = dataset.format if dataset.format != "Auto" else next(iter(kinds), COMPLETION)
    if kind in (TEXT, PREFERENCE):
        refuse_format(kind, dataset, [row for _, row in rows])
    if rows:
        note_missing_columns(kind, dataset, rows, problems)
    return kind


def note_mixed(kinds: dict[str, Place], problems: Problems) -> None:
    """Rows of several formats: where each is first seen."""
    for kind, place in kinds.items():
        others = ", ".join(
            f"{other} in {problems.where(there)}" for other, there in kinds.items() if other != kind
        )
        message = f"has format {kind}, but there is {others}: keep one format in a data set"
        problems.add(place, Fault("", message, ends_file=True))


def refuse_format(kind: str, dataset: Dataset, rows: Sequence[Row]) -> None:
    """Refuse a format of a later release, with the way out for a misnamed column."""
    columns = ", ".join(f'"{name}"' for name in sorted({name for row in rows for name in row})[:10])
    asked = "is not supported yet" if dataset.format == kind else "was found, not supported yet"
    message = (
        f"spec.dataset.format: {kind} {asked}; give rows with a prompt and an answer "
        f"(dataset.fields.prompt and .completion name their columns; there are {columns}) "
        f'or with "{dataset.fields.messages}"'
    )
    raise StageError(FailureClass.INVALID_SPEC, message[:400])


def note_missing_columns(
    kind: str, dataset: Dataset, rows: Sequence[tuple[Place, Row]], problems: Problems
) -> None:
    """Columns that no row has are one error each, not one a row."""
    columns = sorted({name for _, row in rows for name in row})
    wanted = required_columns(kind, dataset.fields)
    if dataset.fields.id is not None:
        wanted["id"] = dataset.fields.id
    for name, column in wanted.items():
        if column not in columns:
            message = missing_column(name, column, columns)
            problems.add(rows[0][0], Fault(f"dataset.fields.{name}", message, ends_file=True))
    group_by = dataset.split.group_by
    if group_by is not None and group_by not in columns:
        message = missing_column("prompt", group_by, columns).replace(
            "dataset.fields.prompt", "dataset.split.groupBy"
        )
        problems.add(rows[0][0], Fault("dataset.split.groupBy", message, ends_file=True))


def find_empty(intake: Intake) -> None:
    """A file without a row is a mistake."""
    for number, file in enumerate(intake.files):
        if not intake.rows_of_file.get(number):
            message = f"has no rows: fill it, or take it out of dataset.{file.split}"
            intake.problems.add(Place(number, 1), Fault("", message, ends_file=True))


def drop_repeated_ids(intake: Intake, column: str | None) -> Mask:
    """Rows to keep; second uses of an id are noted as invalid."""
    keep = np.ones(len(intake.spool), bool)
    if column is None:
        return keep
    ids = as_keys(intake.spool.ids)
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    for row in np.flatnonzero(first[inverse] != np.arange(len(ids))).tolist():
        keep[row] = False
        earlier = intake.problems.where(intake.spool.place(int(first[inverse[row]])))
        message = f"has the id of {earlier}; ids must be unique"
        intake.problems.add(intake.spool.place(row), Fault(column, message))
    return keep


def is_chat(kind: str) -> bool:
    """Whether rows are conversations, which need a chat template."""
    return kind == CHAT
