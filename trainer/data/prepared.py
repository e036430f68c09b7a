"""Prepared rows on disk: Arrow files written in batches and read by memory map.

The only way in which train and judge see data. Owns the files; what is in them is ``stage``'s.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import ValidationError

from trainer.contract.failures import FailureClass
from trainer.data.message import Message
from trainer.data.plan import ROW_SCHEMA, PreparedPlan
from trainer.errors import StageError
from trainer.store import layout
from trainer.store.base import MissingError, Store
from trainer.store.checked import download_checked

PLAN = "plan.json"
REPORT = "data-report.json"
SPLITS = ("train", "validation", "test")
BATCH_ROWS = 1024


@dataclass(frozen=True)
class PreparedRow:
    """One row: ``prompt`` is all before the answer, ``spans`` are what carries loss."""

    id: str
    group: str
    prompt: Sequence[Message]
    reference: str
    input_ids: NDArray[np.int32]
    spans: Sequence[tuple[int, int]]


class Rows(Protocol):
    """Rows in order: a list of them, or a file in which each is read when it is asked for."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, index: int, /) -> PreparedRow:
        """One of them."""

    def __iter__(self) -> Iterator[PreparedRow]:
        """Each in turn."""


@dataclass(frozen=True)
class TokenRow:
    """The part of a row that training reads; ``input_ids`` is a view of the file."""

    input_ids: NDArray[np.int32]
    spans: Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Lists:
    """A column of integer lists as two views of the file."""

    offsets: NDArray[np.int32]
    values: NDArray[np.int32]

    @classmethod
    def of(cls, column: pa.ListArray) -> "Lists":
        """No copy."""
        return cls(column.offsets.to_numpy(), column.values.to_numpy())

    def __getitem__(self, at: int) -> NDArray[np.int32]:
        """One list."""
        return self.values[self.offsets[at] : self.offsets[at + 1]]


class PreparedRows:
    """A split, memory-mapped: opening it reads nothing."""

    def __init__(self, path: Path) -> None:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        self._batches = [reader.get_batch(at) for at in range(reader.num_record_batches)]
        self._starts: list[int] = [0, *accumulate(batch.num_rows for batch in self._batches)]
        self._ids = [Lists.of(batch["input_ids"]) for batch in self._batches]
        self._spans = [Lists.of(batch["supervised"]) for batch in self._batches]

    def __len__(self) -> int:
        """Rows of the split."""
        return self._starts[-1]

    def longest(self) -> int:
        """Tokens of the longest row; reads none of them."""
        lengths = (pc.list_value_length(batch["input_ids"]) for batch in self._batches)
        return max((pc.max(each).as_py() or 0 for each in lengths), default=0)

    def __iter__(self) -> Iterator[PreparedRow]:
        """Each row in turn; none is kept."""
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, index: int) -> PreparedRow:
        """Row ``index``; its token ids are a view of the file."""
        at, offset = self._place(index)
        batch, tokens = self._batches[at], self.tokens(index)
        return PreparedRow(
            id=batch["id"][offset].as_py(),
            group=batch["group"][offset].as_py(),
            prompt=json.loads(batch["prompt"][offset].as_py()),
            reference=batch["reference"][offset].as_py(),
            input_ids=tokens.input_ids,
            spans=tokens.spans,
        )

    def tokens(self, index: int) -> TokenRow:
        """What training reads of row ``index``."""
        at, offset = self._place(index)
        spans = self._spans[at][offset].tolist()
        return TokenRow(self._ids[at][offset], list(zip(spans[::2], spans[1::2], strict=True)))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row; reads none of them."""
        parts = [np.diff(lists.offsets) for lists in self._ids]
        return np.concatenate([np.empty(0, np.int64), *parts])

    def _place(self, index: int) -> tuple[int, int]:
        """The batch that a row is in, and where."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        at = bisect_right(self._starts, index) - 1
        return at, index - self._starts[at]


@dataclass(frozen=True)
class Prepared:
    """What prepare published, as train and judge open it."""

    plan: PreparedPlan
    train: PreparedRows
    validation: PreparedRows
    test: PreparedRows


class RowWriter:
    """Writes a split row by row; holds one batch in memory."""

    def __init__(self, path: Path) -> None:
        self._writer = pa.ipc.new_file(str(path), ROW_SCHEMA)
        self._pending: list[PreparedRow] = []
        self.count = 0

    def append(self, row: PreparedRow) -> None:
        """Add a row."""
        self._pending.append(row)
        self.count += 1
        if len(self._pending) == BATCH_ROWS:
            self._flush()

    def close(self) -> None:
        """Finish the file."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._pending:
            self._writer.write_batch(as_batch(self._pending))
            self._pending = []


def write_rows(path: Path, rows: Iterable[PreparedRow]) -> int:
    """Write a split; returns the number of rows."""
    writer = RowWriter(path)
    for row in rows:
        writer.append(row)
    writer.close()
    return writer.count


def as_batch(rows: Sequence[PreparedRow]) -> pa.RecordBatch:
    """Rows as one Arrow batch."""
    columns = [
        pa.array([row.id for row in rows], pa.string()),
        pa.array([row.group for row in rows], pa.string()),
        pa.array([json.dumps(row.prompt, ensure_ascii=False) for row in rows], pa.string()),
        pa.array([row.reference for row in rows], pa.string()),
        int_lists([row.input_ids for row in rows]),
        int_lists([np.asarray(row.spans, np.int32).reshape(-1) for row in rows]),
    ]
    return pa.record_batch(columns, schema=ROW_SCHEMA)


def int_lists(parts: Sequence[NDArray[np.int32]]) -> pa.ListArray:
    """Integer arrays as one Arrow column, without a Python object per number."""
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int32)
    values = np.concatenate(parts).astype(np.int32) if parts else np.empty(0, np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


def load_plan(data: bytes) -> PreparedPlan:
    """Parse plan.json.

    Raises:
        StageError: it is not one.
    """
    try:
        return PreparedPlan.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = (
            f"{PLAN}: {place}: {first['msg']}; it was changed, or written by another "
            f"version: delete the run's prepared/ and run again"
        )
        raise StageError(FailureClass.INVALID_SPEC, message) from None


def open_prepared(store: Store, run_id: str, work: Path) -> Prepared:
    """Download what prepare published, with its digests checked.

    Raises:
        StageError: it is missing or damaged.
    """
    try:
        plan = load_plan(store.read(layout.prepared(run_id, PLAN)))
    except MissingError:
        message = (
            f"{store.uri}/{layout.prepared(run_id, PLAN)} is missing; prepare has to run first"
        )
        raise StageError(FailureClass.NOT_FOUND, message) from None
    work.mkdir(parents=True, exist_ok=True)
    rows = {name: download_rows(store, run_id, plan, name, work) for name in SPLITS}
    return Prepared(plan, rows["train"], rows["validation"], rows["test"])


def download_rows(
    store: Store, run_id: str, plan: PreparedPlan, split: str, work: Path
) -> PreparedRows:
    """One split, checked against the plan."""
    name = f"{split}.arrow"
    path = work / name
    download_checked(store, layout.prepared(run_id, name), plan.files.get(name, ""), path)
    return PreparedRows(path)


def row_digest(messages: Sequence[Message], reference: str) -> bytes:
    """Digest of what a source row says, the same wherever it stands."""
    document = json.dumps([messages, reference], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(document.encode()).digest()


def split_digest(rows: NDArray[np.uint8]) -> str:
    """One digest over row digests, shape (rows, 32), whatever their order."""
    words = rows.view(">u8")
    order = np.lexsort(words.T[::-1])
    return f"sha256:{hashlib.sha256(rows[order].tobytes()).hexdigest()}"
