"""Does the memory that a train stage is estimated to need agree with what it takes?

Prepares and trains on the CPU, in processes as a pod's, and watches the memory that cannot be given
back (anonymous pages) while it trains. Prints Markdown.
Usage: PYTHONPATH=tests python bench/memory.py BASE [--rows N] [--words N] [--precision P]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from builders.preparing import rows, write_jsonl
from builders.requests import a_request, a_spec

from trainer.contract.outcome import Outcome
from trainer.contract.request import Stage
from trainer.contract.spec import Lora
from trainer.data.prepared import open_prepared
from trainer.store.checked import read_manifest
from trainer.store.file import FileStore
from trainer.train.footprint import (
    WEIGHT_BYTES,
    footprint,
    tokens_of,
    weight_files,
    weight_shapes,
)

SAMPLE_S = 0.02
MIB = 1 << 20
FILLING = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


@dataclass(frozen=True)
class Taken:
    """The peaks of one train stage, in bytes."""

    anonymous: int
    resident: int
    """With pages of files, which the kernel may take back."""
    weights_mapped: int
    """Of the base model's file: mapped, where its numbers are used as they lie there."""
    estimate: int

    @property
    def needed(self) -> int:
        """What it cannot work without: weights that were taken back are read again at once."""
        return self.anonymous + self.weights_mapped


def data(count: int, words: int) -> Iterator[dict[str, Any]]:
    """Rows whose prompts have about so many words."""
    for number, row in enumerate(rows(count)):
        filling = " ".join(FILLING[(number + at) % len(FILLING)] for at in range(words))
        yield row | {"prompt": f"{row['prompt']} {filling}"}


def environment(root: Path, stage: Stage, run_id: str, spec: dict[str, Any]) -> dict[str, str]:
    """What the stage is started with."""
    request = a_request(root, stage, run_id=run_id, spec=spec)
    return {
        **os.environ,
        "TUNEKEEPER_REQUEST": request.model_dump_json(),
        "TUNEKEEPER_OUTCOME": str(root / "outcome"),
        "TUNEKEEPER_LISTEN": "127.0.0.1:0",
        "TUNEKEEPER_WORK": str(root / "work"),
        "TUNEKEEPER_CACHE": str(root / "cache"),
        "TUNEKEEPER_FILE_ROOT": "/",
        "HF_HUB_OFFLINE": "1",
    }


def start(root: Path, stage: Stage, run_id: str, spec: dict[str, Any]) -> "subprocess.Popen[bytes]":
    """The stage as a process of its own."""
    command = [sys.executable, "-P", "-m", "trainer", stage]
    return subprocess.Popen(command, env=environment(root, stage, run_id, spec))  # noqa: S603 - ours


def outcome(root: Path) -> Outcome:
    """The last word of the stage before."""
    return Outcome.model_validate_json((root / "outcome").read_text().splitlines()[0])


def watched(process: "subprocess.Popen[bytes]") -> tuple[int, int]:
    """The peaks until the process has ended, anonymous and resident."""
    anonymous = resident = 0
    while process.poll() is None:
        figures = status(process.pid)
        anonymous = max(anonymous, figures.get("RssAnon", 0) + figures.get("RssShmem", 0))
        resident = max(resident, figures.get("VmHWM", 0))
        time.sleep(SAMPLE_S)
    return anonymous, resident


def status(pid: int) -> dict[str, int]:
    """Memory figures of a process, in bytes."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines if line.endswith(" kB"))
    return {name: int(value.split()[0]) << 10 for name, value in pairs}


def measured(base: Path, options: argparse.Namespace) -> Taken:
    """One run in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as name:
        root = Path(name)
        (root / "base").symlink_to(base.resolve())
        (root / "output").mkdir()
        write_jsonl(root / "train.jsonl", list(data(options.rows, options.words)))
        spec = a_spec(root, **sections(options))
        if start(root, Stage.PREPARE, "", spec).wait():
            raise SystemExit(outcome(root).message)
        run_id = outcome(root).run_id
        peaks = watched(start(root, Stage.TRAIN, run_id, spec))
        if outcome(root).failure is not None:
            raise SystemExit(outcome(root).message)
        return taken(base, root / "output", run_id, peaks, rank=options.rank)


def taken(base: Path, output: Path, run_id: str, peaks: tuple[int, int], *, rank: int) -> Taken:
    """The peaks beside the estimate of the same run."""
    summary = read_manifest(FileStore(output), run_id)
    assert summary is not None, run_id  # noqa: S101 - the stage has just said so
    precision, shapes = summary.training.precision, weight_shapes(base)
    with tempfile.TemporaryDirectory() as name:
        prepared = open_prepared(FileStore(output), run_id, Path(name))
        tokens = tokens_of(prepared)
    found = footprint(shapes, precision=precision, lora=Lora(rank=rank), tokens=tokens)
    size = sum(path.stat().st_size for path in weight_files(base))
    is_mapped = round(size / sum(map(prod, shapes.values()))) == WEIGHT_BYTES[precision]
    return Taken(*peaks, size if is_mapped else 0, found.peak)


def sections(options: argparse.Namespace) -> dict[str, Any]:
    """A few steps, each of several micro-batches."""
    return {
        "lora": {"rank": options.rank, "alpha": 2 * options.rank},
        "training": {
            "epochs": 1,
            "maxSteps": options.steps,
            "batchTokens": options.batch_tokens,
            "maxSequenceTokens": 2048,
            "precision": options.precision,
            "checkpointPeriodSeconds": 1,
        },
        "evaluation": {
            "arms": [{"name": "ZeroShot"}],
            "maxNewTokens": 4,
            "fewShotExamples": 1,
            "forgetting": {"tokens": 1024},
        },
    }


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("--rows", type=int, default=160)
    parser.add_argument("--words", type=int, default=100)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--precision", default="FP32")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    options = options_of(arguments)
    found = measured(options.base, options)
    print("| estimated, MiB | taken | of it anonymous | resident at the most | estimate / taken |")
    print("|---|---|---|---|---|")
    figures = [found.estimate, found.needed, found.anonymous, found.resident]
    cells = [f"{figure / MIB:,.0f}" for figure in figures]
    print(f"| {' | '.join(cells)} | {found.estimate / found.needed:.2f} |")


if __name__ == "__main__":
    main(sys.argv[1:])
