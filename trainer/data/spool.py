"""Source rows on local disk between the passes: one line each, and 90 bytes a row in memory.

Read by position and not by memory map: pages of a map count as this process's memory, and a pass
over all rows would touch every one of them.
"""

import hashlib
import json
import os
import weakref
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from trainer.data.message import Message, as_json, message_text, tools_of
from trainer.data.prepared import row_digest
from trainer.data.problems import Place
from trainer.data.shape import SourceRow, normalised, prompt_text

BUFFER_BYTES = 1 << 20
BLOCK_ROWS = 4096
DIGEST_BYTES = 32
Keys = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class SpooledRow:
    """A row read back."""

    index: int
    place: Place
    id: str
    prompt: list[Message]
    answer: Message


@dataclass
class Spool:
    """Written once, then read as often as needed, by one thread at a time."""

    path: Path
    files: "array[int]" = field(default_factory=lambda: array("H"))
    lines: "array[int]" = field(default_factory=lambda: array("Q"))
    groups: "array[int]" = field(default_factory=lambda: array("Q"))
    prompts: "array[int]" = field(default_factory=lambda: array("Q"))
    pairs: "array[int]" = field(default_factory=lambda: array("Q"))
    answers: "array[int]" = field(default_factory=lambda: array("Q"))
    ids: "array[int]" = field(default_factory=lambda: array("Q"))
    digests: bytearray = field(default_factory=bytearray)
    _starts: "array[int]" = field(default_factory=lambda: array("Q", [0]))
    _writer: BinaryIO | None = None
    _descriptor: int = -1

    def __len__(self) -> int:
        """Rows so far."""
        return len(self.files)

    def append(self, place: Place, row: SourceRow) -> None:
        """Add a row at the end."""
        text = prompt_text(row.prompt)
        said, tools = normalised(text), tools_of(row.prompt)
        prompt = f"{said}\0{as_json(tools)}" if tools else said
        answer = message_text(row.answer)
        group = said if row.group == text else normalised(row.group)
        self.files.append(place.file)
        self.lines.append(place.line)
        self.groups.append(key_of("group", group))
        self.prompts.append(key_of("prompt", prompt))
        self.pairs.append(key_of("pair", f"{prompt}\0{answer.strip()}"))
        self.answers.append(key_of("answer", answer.strip()))
        self.ids.append(key_of("id", row.id))
        self.digests += row_digest(row.prompt, answer)
        self._write(to_json([row.id, row.prompt, row.answer]).encode())

    def close(self) -> None:
        """Finish writing."""
        if self._writer is not None:
            self._writer.close()
            self._descriptor = os.open(self.path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._descriptor)

    def rows(self) -> Iterator[SpooledRow]:
        """Every row, in the order of the files."""
        return (self.row(index) for index in range(len(self)))

    def row(self, index: int) -> SpooledRow:
        """One row."""
        start, end = self._starts[index], self._starts[index + 1]
        line = os.pread(self._descriptor, end - start, start)
        name, prompt, answer = json.loads(line)
        return SpooledRow(index, self.place(index), name, prompt, answer)

    def place(self, index: int) -> Place:
        """Where a row came from."""
        return Place(self.files[index], self.lines[index])

    def digest_table(self) -> NDArray[np.uint8]:
        """Digests of what the rows say, shape (rows, 32); no copy."""
        return np.frombuffer(self.digests, np.uint8).reshape(-1, DIGEST_BYTES)

    def _write(self, line: bytes) -> None:
        if self._writer is None:
            self._writer = self.path.open("wb", buffering=BUFFER_BYTES)
        self._writer.write(line)
        self._starts.append(self._starts[-1] + len(line))


def as_keys(values: "array[int]") -> Keys:
    """A column of keys as numbers to sort; no copy."""
    return np.frombuffer(values, np.uint64) if values else np.empty(0, np.uint64)


def members(mask: NDArray[np.bool_]) -> Iterator[int]:
    """The rows of a mask, without a list of them all."""
    for start in range(0, len(mask), BLOCK_ROWS):
        yield from (np.flatnonzero(mask[start : start + BLOCK_ROWS]) + start).tolist()


def key_of(purpose: str, text: str) -> int:
    """64 bits that stand for a text; two of a million collide once in 4e7 data sets."""
    digest = hashlib.blake2b(text.encode(), digest_size=8, person=purpose.encode()).digest()
    return int.from_bytes(digest, "big")


def to_json(value: object) -> str:
    """JSON that keeps the text readable."""
    return json.dumps(value, ensure_ascii=False)
