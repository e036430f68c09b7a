"""What both trainers share: the work as a file, the model, the talk with the program that times.

A side is a process that does one optimizer step each time it is told to, so that the two sides
take turns and a busy machine is as busy for one as for the other.
"""

import json
import os
import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from trainer.contract.spec import Lora
from trainer.model.adapter import attach
from trainer.model.load import load_base

SEED = 17
LEARNING_RATE = 5e-4
MAX_GRAD_NORM = 1.0
LORA = Lora(rank=16, alpha=32)


@dataclass(frozen=True)
class Work:
    """Rows as (token ids, places of the tokens that carry loss), and how TRL batches them."""

    base: str
    rows: list[tuple[list[int], list[int]]]
    steps: int
    threads: int
    packing: bool
    batch: int
    """Rows or packs that TRL computes at once."""
    accumulation: int
    checkpointing: bool
    plan: list[list[int]] = field(default_factory=list)
    """The rows of each step, as TRL batches them; ours does the same."""

    @classmethod
    def read(cls, path: str) -> "Work":
        """The work in a file."""
        return cls(**json.loads(Path(path).read_text()))


class Pulpit:
    """Says what happened as lines of JSON, on the stdout that nobody else may write to."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what libraries print goes to the log

    def say(self, **words: Any) -> None:  # noqa: ANN401 - whatever JSON has
        """One line."""
        self._out.write(json.dumps(words) + "\n")
        self._out.flush()

    def wait(self) -> None:
        """Until it is this side's turn."""
        if not sys.stdin.readline():
            sys.exit("the program that times is gone")


class Start:
    """Names what passes between the start of the process and its first step."""

    def __init__(self) -> None:
        born = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - born / os.sysconf("SC_CLK_TCK")
        self._at = (time.perf_counter() - age_s, 0.0)
        self.parts: dict[str, tuple[float, float]] = {}
        """(clock, CPU) seconds of each."""

    def ends(self, part: str) -> None:
        """What came since the last one was ``part``."""
        now = time.perf_counter(), time.process_time()
        self.parts[part] = (now[0] - self._at[0], now[1] - self._at[1])
        self._at = now


class Turn:
    """Clock and CPU time of one step."""

    def __init__(self) -> None:
        self.wall_s, self.cpu_s = time.perf_counter(), time.process_time()

    def seconds(self) -> dict[str, float]:
        """Since it began."""
        return {
            "wall_s": time.perf_counter() - self.wall_s,
            "cpu_s": time.process_time() - self.cpu_s,
        }


def model_of(work: Work) -> PeftModel:
    """The base in FP32 with a fresh adapter: the same one on both sides.

    Its file is mapped; reading every weight once makes it count as loaded before training.
    """
    torch.set_num_threads(work.threads)
    base = load_base(Path(work.base), precision="FP32", device="cpu")
    for each in base.parameters():
        each.sum()
    return attach(base, LORA, SEED)


def resident_bytes() -> int:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def peak_bytes() -> int:
    """The largest it ever was."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
