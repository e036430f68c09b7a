"""A prepare stage on tiny files: real tokenizer, real store, everything below one directory."""

import csv
import gzip
import io
import json
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from builders.requests import a_request, a_spec
from builders.tiny_model import make_tokenizer

from trainer.contract.request import StageRequest
from trainer.data.stage import prepare
from trainer.errors import StageError
from trainer.progress import ProgressTracker
from trainer.stage import StageContext, StageResult
from trainer.store.file import FileStore

CITIES = ("Oslo", "Lima", "Rome", "Cairo", "Quito", "Delhi", "Hanoi", "Paris", "Seoul", "Tunis")
LABELS = ("ask_card", "ask_transfer", "ask_fee")


def rows(count: int, *, start: int = 0) -> list[dict[str, Any]]:
    """Rows that differ from each other, with three answers in turn."""
    return [
        {
            "prompt": f"message {number} from {CITIES[number % 10]} about card {number * 7}",
            "completion": LABELS[number % 3],
        }
        for number in range(start, start + count)
    ]


def chats(count: int) -> list[dict[str, Any]]:
    """The same as conversations."""
    return [
        {
            "messages": [
                {"role": "user", "content": row["prompt"]},
                {"role": "assistant", "content": row["completion"]},
            ]
        }
        for row in rows(count)
    ]


def write_jsonl(path: Path, content: list[Any]) -> Path:
    """One JSON value a line; compressed if the name says so."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def write_csv(path: Path, content: list[dict[str, Any]]) -> Path:
    """A header and the rows."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(content[0]))
    writer.writeheader()
    writer.writerows(content)
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_parquet(path: Path, content: list[dict[str, Any]]) -> Path:
    """Columns."""
    pq.write_table(pa.Table.from_pylist(content), path)
    return path


def a_base(root: Path, **options: Any) -> Path:
    """The tiny base model that the requests name."""
    return make_tokenizer(root / "base", **options)


def preparing(
    root: Path,
    *,
    dataset: dict[str, Any] | None = None,
    request: dict[str, Any] | None = None,
    **sections: Any,
) -> StageRequest:
    """A request; the default data is ``root/train.jsonl``."""
    data = {"train": {"uri": f"file://{root}/train.jsonl"}} | (dataset or {})
    spec = a_spec(root, dataset=data, **sections)
    return a_request(root, spec=spec, **(request or {}))


def a_context(root: Path, request: StageRequest) -> StageContext:
    """A context whose store is ``root/output``."""
    work, cache = root / "work", root / "cache"
    for directory in (work, cache):
        directory.mkdir(exist_ok=True)
    return StageContext(
        request=request,
        store=FileStore((root / "output").resolve()),
        work=work,
        cache=cache,
        file_root=root,
        progress=ProgressTracker(request),
        stop=threading.Event(),
    )


def prepared(root: Path, **changes: Any) -> StageResult:
    """Run the real stage."""
    return prepare(a_context(root, preparing(root, **changes)))


def refusal(root: Path, **changes: Any) -> StageError:
    """Run the real stage and catch what it refuses."""
    try:
        prepared(root, **changes)
    except StageError as error:
        return error
    message = "prepare accepted it"
    raise AssertionError(message)
