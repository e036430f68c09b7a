"""Source rows on local disk between the passes: a memory map, and 50 bytes a row in memory."""

import hashlib
import json
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainer.data.message import Message, as_json, message_text, tools_of
from trainer.data.prepared import row_digest
from trainer.data.problems import Place
from trainer.data.shape import SourceRow, normalised, prompt_text

BATCH_ROWS = 1024
SCHEMA = pa.schema(
    [("id", pa.string()), ("prompt", pa.string()), ("answer", pa.string())],
)
Keys = NDArray[np.uint64]


@dataclass(frozen=True)
class SpooledRow:
    """A row read back."""

    index: int
    place: Place
    id: str
    prompt: list[Message]
    answer: Message


@dataclass
class Spool:
    """Written once, then read as often as needed."""

    path: Path
    files: "array[int]" = field(default_factory=lambda: array("H"))
    lines: "array[int]" = field(default_factory=lambda: array("Q"))
    groups: "array[int]" = field(default_factory=lambda: array("Q"))
    prompts: "array[int]" = field(default_factory=lambda: array("Q"))
    pairs: "array[int]" = field(default_factory=lambda: array("Q"))
    ids: "array[int]" = field(default_factory=lambda: array("Q"))
    digests: bytearray = field(default_factory=bytearray)
    _pending: list[tuple[str, str, str]] = field(default_factory=list)
    _writer: pa.RecordBatchFileWriter | None = None
    _batches: list[pa.RecordBatch] = field(default_factory=list)

    def __len__(self) -> int:
        """Rows so far."""
        return len(self.files)

    def append(self, place: Place, row: SourceRow) -> None:
        """Add a row at the end."""
        prompt = normalised(prompt_text(row.prompt))
        tools = tools_of(row.prompt)
        prompt += f"\0{as_json(tools)}" if tools else ""
        answer = message_text(row.answer)
        self.files.append(place.file)
        self.lines.append(place.line)
        self.groups.append(key_of("group", normalised(row.group)))
        self.prompts.append(key_of("prompt", prompt))
        self.pairs.append(key_of("pair", f"{prompt}\0{answer.strip()}"))
        self.ids.append(key_of("id", row.id))
        self.digests += row_digest(row.prompt, answer)
        self._pending.append((row.id, to_json(row.prompt), to_json(row.answer)))
        if len(self._pending) == BATCH_ROWS:
            self._flush()

    def close(self) -> None:
        """Finish writing."""
        self._flush()
        if self._writer is not None:
            self._writer.close()
            reader = pa.ipc.open_file(pa.memory_map(str(self.path)))
            self._batches = [reader.get_batch(at) for at in range(reader.num_record_batches)]

    def rows(self) -> Iterator[SpooledRow]:
        """Every row, in the order of the files."""
        return (self.row(index) for index in range(len(self)))

    def row(self, index: int) -> SpooledRow:
        """One row."""
        batch, offset = self._batches[index // BATCH_ROWS], index % BATCH_ROWS
        return SpooledRow(
            index=index,
            place=self.place(index),
            id=batch["id"][offset].as_py(),
            prompt=json.loads(batch["prompt"][offset].as_py()),
            answer=json.loads(batch["answer"][offset].as_py()),
        )

    def place(self, index: int) -> Place:
        """Where a row came from."""
        return Place(self.files[index], self.lines[index])

    def digest(self, index: int) -> bytes:
        """Digest of what the row says."""
        return bytes(self.digests[32 * index : 32 * index + 32])

    def _flush(self) -> None:
        if not self._pending:
            return
        if self._writer is None:
            self._writer = pa.ipc.new_file(str(self.path), SCHEMA)
        columns = [pa.array(column, pa.string()) for column in zip(*self._pending, strict=True)]
        self._writer.write_batch(pa.record_batch(columns, schema=SCHEMA))
        self._pending = []


def as_keys(values: "array[int]") -> Keys:
    """A column of keys as numbers to sort; no copy."""
    return np.frombuffer(values, np.uint64) if values else np.empty(0, np.uint64)


def key_of(purpose: str, text: str) -> int:
    """64 bits that stand for a text; two of a million collide once in 4e7 data sets."""
    digest = hashlib.blake2b(text.encode(), digest_size=8, person=purpose.encode()).digest()
    return int.from_bytes(digest, "big")


def to_json(value: object) -> str:
    """JSON that keeps the text readable."""
    return json.dumps(value, ensure_ascii=False)
