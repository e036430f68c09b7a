"""Raw rows from JSONL, CSV and Parquet, one at a time; gzip is seen through.

Yields a dictionary or what is wrong with that line; a fault never ends the reading, unless what
follows cannot be found any more.
"""

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, cast

import msgspec

from trainer.data.files import SourceFile
from trainer.data.problems import Fault

MAX_ROW_BYTES = 32 << 20
BATCH_ROWS = 1024

NOT_UTF8 = Fault("", "is not UTF-8; convert the file: iconv -f <its encoding> -t UTF-8")
NOT_AN_OBJECT = Fault("", 'is not a JSON object; every line must be one, as {"prompt": ...}')
TOO_LONG = Fault("", f"is longer than {MAX_ROW_BYTES >> 20} MiB; is it one JSON object a line?")

Row = dict[str, Any]


@dataclass(frozen=True)
class RawRow:
    """A line: its content, or its fault."""

    line: int
    content: Row | Fault


def read_rows(file: SourceFile, on_bytes: Callable[[int], None]) -> Iterator[RawRow]:
    """Every row; ``on_bytes`` hears of the bytes of the file as they are used up."""
    if file.kind == "parquet":
        yield from parquet_rows(file, on_bytes)
        return
    readers = {"jsonl": jsonl_rows, "csv": csv_rows}
    with file.path.open("rb") as stored:
        counted = Counted(stored, on_bytes)
        buffered = io.BufferedReader(counted, 1 << 18)
        plain = cast("IO[bytes]", gzip.GzipFile(fileobj=buffered) if file.is_gzip else buffered)
        yield from guarded(readers[file.kind](plain))


def guarded(rows: Iterator[RawRow]) -> Iterator[RawRow]:
    """Turn a damaged archive into a fault of the line that was to come."""
    line = 0
    try:
        for row in rows:
            line = row.line
            yield row
    except (gzip.BadGzipFile, EOFError, zlib.error):
        fault = Fault(
            "",
            "and all after it cannot be unpacked: the .gz file is damaged; copy it again",
            ends_file=True,
        )
        yield RawRow(line + 1, fault)


class Counted(io.RawIOBase):
    """A raw file that reports what is read from it."""

    def __init__(self, file: IO[bytes], on_bytes: Callable[[int], None]) -> None:
        self._file, self._on_bytes = file, on_bytes

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        """Fill the buffer."""
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._on_bytes(len(data))
        return len(data)


def jsonl_rows(file: IO[bytes]) -> Iterator[RawRow]:
    """One JSON object a line; empty lines do not count."""
    number = 0
    while line := file.readline(MAX_ROW_BYTES):
        number += 1
        if len(line) == MAX_ROW_BYTES and not line.endswith(b"\n"):
            skip_line(file)
            yield RawRow(number, TOO_LONG)
            continue
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.strip():
            yield RawRow(number, parse_object(line))


def skip_line(file: IO[bytes]) -> None:
    """Read on to the end of the line without keeping it."""
    while (rest := file.readline(MAX_ROW_BYTES)) and not rest.endswith(b"\n"):
        pass


def parse_object(line: bytes) -> Row | Fault:
    """The object on a line, or what it is instead."""
    try:
        content = msgspec.json.decode(line)
    except UnicodeDecodeError:
        return NOT_UTF8
    except msgspec.DecodeError:
        return NOT_AN_OBJECT if is_utf8(line) else NOT_UTF8
    except RecursionError:
        return NOT_AN_OBJECT
    if not is_utf8(line):  # the decoder only looks at the strings that it has to
        return NOT_UTF8
    return content if isinstance(content, dict) else NOT_AN_OBJECT


def is_utf8(data: bytes) -> bool:
    """Whether the bytes are UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def csv_rows(file: IO[bytes]) -> Iterator[RawRow]:
    """Records under a header; a quoted field may span lines. Empty fields are missing."""
    csv.field_size_limit(min(sys.maxsize, MAX_ROW_BYTES))
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.reader(text, strict=True)
    start = 1
    try:
        header = next(reader, [])
        yield from header_faults(header)
        start = reader.line_num + 1
        for record in reader:
            if record:
                yield RawRow(start, record_content(header, record))
            start = reader.line_num + 1
    except csv.Error as error:
        fault = Fault(
            "",
            f"and all after it cannot be read as CSV ({error}); quote as RFC 4180 says",
            ends_file=True,
        )
        yield RawRow(start, fault)


def header_faults(header: list[str]) -> Iterator[RawRow]:
    """What is wrong with the names of the columns."""
    if any(has_surrogate(name) for name in header):
        yield RawRow(1, NOT_UTF8)
    repeated = {name for name in header if header.count(name) > 1}
    if repeated:
        yield RawRow(
            1, Fault(min(repeated), "is the name of two columns; rename one", ends_file=True)
        )


def record_content(header: list[str], record: list[str]) -> Row | Fault:
    """A record under its header."""
    if len(record) != len(header):
        message = (
            f"has {len(record)} fields, the header has {len(header)}; quote fields that hold commas"
        )
        return Fault("", message)
    if any(has_surrogate(value) for value in record):
        return NOT_UTF8
    return {name: value or None for name, value in zip(header, record, strict=True)}


def has_surrogate(text: str) -> bool:
    """Whether bytes that are no UTF-8 were smuggled through."""
    return not text.isascii() and any("\udc80" <= character <= "\udcff" for character in text)


def parquet_rows(file: SourceFile, on_bytes: Callable[[int], None]) -> Iterator[RawRow]:
    """Rows of a Parquet file; ``line`` counts rows from 1."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - only when such a file is there
    from pyarrow import ArrowException  # noqa: PLC0415

    number, size = 0, file.path.stat().st_size
    with parquet_errors(ArrowException) as faults, pq.ParquetFile(file.path) as table:
        total = max(1, table.metadata.num_rows)
        for batch in table.iter_batches(batch_size=BATCH_ROWS):
            for content in batch.to_pylist():
                number += 1
                yield RawRow(number, content)
            on_bytes(size * batch.num_rows // total)
    yield from (RawRow(number + 1, fault) for fault in faults)


@contextmanager
def parquet_errors(kind: type[Exception]) -> Iterator[list[Fault]]:
    """Collect the fault of a file that is no, or a damaged, Parquet file."""
    faults: list[Fault] = []
    try:
        yield faults
    except (kind, ValueError, OverflowError, OSError) as error:
        # pyarrow raises a bare OSError for a damaged page, the system one with its number
        if isinstance(error, OSError) and error.errno is not None:
            raise
        faults.append(
            Fault(
                "",
                "and all after it cannot be read: it is not valid Parquet; write it again",
                ends_file=True,
            )
        )
