"""Are planted near copies found, and nothing else? The trainer's own search over a file's rows.

Two rows are near when the bench's own count of their shingles says so, whoever planted them.
Usage: python -m bench.size.near FILE PLANTED FOUND
"""

import json
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

from bench.size.rows import LEVELS, Copy, jaccard, shingles
from trainer.contract.source import Dataset
from trainer.data.duplicates import NEAR, find_near
from trainer.data.files import source_file
from trainer.data.intake import take_in

Pair = tuple[int, int]


def search(path: Path) -> list[Pair]:
    """What the trainer finds."""
    dataset = Dataset.model_validate({"train": {"uri": f"file://{path}"}})
    files = [source_file(path, path.name, "train")]
    with TemporaryDirectory(dir=path.parent) as work:
        intake = take_in(
            dataset,
            files,
            Path(work) / "rows.arrow",
            on_bytes=lambda _: None,
            stop=threading.Event(),
        )
        found = find_near(intake.spool, np.ones(len(intake.spool), bool))
        return [(int(earlier), int(later)) for earlier, later in found.pairs]


def alike(path: Path, pairs: Iterable[Pair]) -> dict[Pair, float]:
    """Jaccard of each pair by a plain count."""
    wanted = {row for pair in pairs for row in pair}
    with path.open("rb") as file:
        words = {
            number: msgspec.json.decode(line)["prompt"].split()
            for number, line in enumerate(file)
            if number in wanted
        }
    return {(a, b): jaccard(shingles(words[a]), shingles(words[b])) for a, b in pairs}


def figures(path: Path, planted: Sequence[Copy], found: Sequence[Pair]) -> dict[str, float]:
    """Recall over planted pairs of at least 0.8, precision over all that were found, by level."""
    there = set(found)
    near = [(one.earlier, one.later) for one in planted if one.jaccard >= NEAR]
    truly = alike(path, there)
    right = sum(value >= NEAR for value in truly.values())
    levels = {
        f"found at {level:.2f}": share(
            [(one.earlier, one.later) in there for one in planted if close(one.jaccard, level)]
        )
        for level in LEVELS
    }
    return {
        "planted": len(near),
        "found": len(there),
        "recall": share([pair in there for pair in near]),
        "precision": right / max(1, len(there)),
        **levels,
    }


def close(value: float, level: float) -> bool:
    """Whether a pair was planted at this level."""
    return abs(value - level) == min(abs(value - one) for one in LEVELS)


def share(kept: Sequence[bool]) -> float:
    """Of those that hold."""
    return sum(kept) / max(1, len(kept))


def main(arguments: list[str]) -> None:
    """Write the figures."""
    path, planted, result = map(Path, arguments)
    copies = [Copy(*one) for one in json.loads(planted.read_bytes())]
    result.write_text(json.dumps(figures(path, copies, search(path))))


if __name__ == "__main__":
    main(sys.argv[1:])
