"""Our trainer beside TRL's SFTTrainer, on the same rows, tokens per step and steps.

Both sides are processes that take turns, one optimizer step each, so that the machine is as busy
for one as for the other; the ratio of a step is of the two turns beside each other. The first step
warms up and counts for the losses only. Prints Markdown.

    python -m bench.trainer --peer PYTHON --base DIRECTORY [--steps N] [--rounds N] [--threads N]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Self

from bench.trainer.rows import Row, rows_of

Start = dict[str, tuple[float, float]]

MB = 1 << 20
WARM_UP = 1
PARTS = ("imports", "load", "plan")


@dataclass(frozen=True)
class Manner:
    """A way to run TRL."""

    kind: str
    """Of the rows."""
    name: str
    packing: bool
    batch: int
    accumulation: int
    checkpointing: bool = False


MANNERS = (
    Manner("packs", "4 packs at once", packing=True, batch=4, accumulation=1),
    Manner("packs", "pack by pack", packing=True, batch=1, accumulation=4),
    Manner("packs", "its defaults", packing=True, batch=4, accumulation=1, checkpointing=True),
    Manner("short rows", "32 rows at once, padded", packing=False, batch=32, accumulation=1),
    Manner("short rows", "8 rows at a time, padded", packing=False, batch=8, accumulation=4),
    Manner("short rows", "pack by pack", packing=True, batch=1, accumulation=4),
    Manner("quickstart", "8 rows at once, padded", packing=False, batch=8, accumulation=1),
)


class Side:
    """A child process that steps when told to."""

    def __init__(self, python: str, module: str, work: Path, log: Path) -> None:
        self._child = subprocess.Popen(  # noqa: S603 - our own modules
            [python, "-m", module, str(work)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("w"),
            text=True,
            env={**os.environ, "PYTHONPATH": "."},
        )
        self._log = log

    def __enter__(self) -> Self:
        """A context: the process ends with it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._child.kill()
        self._child.wait()

    def hear(self) -> dict[str, Any]:
        """The next thing that it says."""
        assert self._child.stdout is not None  # noqa: S101 - a pipe
        line = self._child.stdout.readline()
        if not line:
            sys.exit(f"a side ended early:\n{self._log.read_text()[-3000:]}")
        return dict(json.loads(line))

    def step(self) -> dict[str, float]:
        """One optimizer step."""
        assert self._child.stdin is not None  # noqa: S101 - a pipe
        self._child.stdin.write("go\n")
        self._child.stdin.flush()
        return self.hear()


@dataclass(frozen=True)
class Pair:
    """Both sides through the same steps."""

    tokens: list[int]
    ours: list[dict[str, float]]
    peers: list[dict[str, float]]
    memory: tuple[tuple[int, int], tuple[int, int]]
    """(loaded, peak) of ours and of TRL."""
    starts: tuple[Start, Start]
    """(clock, CPU) seconds of the parts before the first step, of both."""

    def ratios(self, clock: str) -> list[float]:
        """How many times as long TRL takes, step by step."""
        pairs = zip(self.ours, self.peers, strict=True)
        return [peer[clock] / own[clock] for own, peer in pairs][WARM_UP:]

    def rate(self, side: Sequence[dict[str, float]], clock: str = "wall_s") -> float:
        """Tokens per second after the warm-up."""
        seconds = sum(step[clock] for step in side[WARM_UP:])
        return sum(self.tokens[WARM_UP:]) / seconds


def compare(manner: Manner, rows: Sequence[Row], arguments: argparse.Namespace) -> Pair:
    """Run the two beside each other."""
    steps = arguments.steps + WARM_UP
    work = {
        "base": str(Path(arguments.base).resolve()),
        "rows": rows,
        "steps": steps,
        "threads": arguments.threads,
        **{key: value for key, value in vars(manner).items() if key not in {"kind", "name"}},
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "peer.json").write_text(json.dumps(work))
        peer = Side(arguments.peer, "bench.trainer.peer", folder / "peer.json", folder / "peer.log")
        begun = stack.enter_context(peer).hear()
        (folder / "ours.json").write_text(json.dumps(work | {"plan": begun["plan"]}))
        own = Side(sys.executable, "bench.trainer.ours", folder / "ours.json", folder / "ours.log")
        ready = stack.enter_context(own).hear()
        turns = [(own.step(), peer.step()) for _ in range(steps)]
        peaks = own.hear()["peak_bytes"], peer.hear()["peak_bytes"]
    return Pair(
        tokens=[sum(len(rows[at][0]) for at in step) for step in begun["plan"]],
        ours=[turn[0] for turn in turns],
        peers=[turn[1] for turn in turns],
        memory=((ready["loaded_bytes"], peaks[0]), (begun["loaded_bytes"], peaks[1])),
        starts=(ready["start"], begun["start"]),
    )


def speeds(manner: Manner, pairs: Sequence[Pair]) -> str:
    """A line of the table of speeds."""
    wall = [ratio for pair in pairs for ratio in pair.ratios("wall_s")]
    cpu = [ratio for pair in pairs for ratio in pair.ratios("cpu_s")]
    ours = median(pair.rate(pair.ours) for pair in pairs)
    peers = median(pair.rate(pair.peers) for pair in pairs)
    return (
        f"| {manner.kind} | {manner.name} | {ours:.0f} | {peers:.0f} | **{median(wall):.2f}** "
        f"({min(wall):.2f} to {max(wall):.2f}) | {median(cpu):.2f} |"
    )


def memories(manner: Manner, pairs: Sequence[Pair]) -> str:
    """A line of the table of memory."""
    peak = [[pair.memory[side][1] for pair in pairs] for side in (0, 1)]
    above = [[pair.memory[side][1] - pair.memory[side][0] for pair in pairs] for side in (0, 1)]
    own, peer = (median(each) / MB for each in peak)
    own_above, peer_above = (median(each) / MB for each in above)
    return (
        f"| {manner.kind} | {manner.name} | {own:,.0f} | {peer:,.0f} | **{own / peer:.2f}** "
        f"| {own_above:,.0f} | {peer_above:,.0f} | **{own_above / peer_above:.2f}** |"
    )


def losses(manner: Manner, pair: Pair) -> Iterator[str]:
    """The two curves, step by step."""
    for name, side in (("ours", pair.ours), ("TRL", pair.peers)):
        curve = " | ".join(f"{step['loss']:.4f}" for step in side)
        yield f"| {manner.kind}, {manner.name} | {name} | {curve} |"


def largest_difference(pair: Pair) -> float:
    """Of the losses of a step, relative."""
    both = zip(pair.ours, pair.peers, strict=True)
    return max(abs(own["loss"] - peer["loss"]) / peer["loss"] for own, peer in both)


def starts(pairs: Sequence[Pair]) -> Iterator[str]:
    """What passes up to the end of the first step: medians of clock and CPU seconds."""
    for side, name in enumerate(("ours", "TRL")):
        first = [(pair.ours, pair.peers)[side][0] for pair in pairs]
        parts = [[pair.starts[side][part] for pair in pairs] for part in PARTS]
        parts.append([(step["wall_s"], step["cpu_s"]) for step in first])
        cells = [
            " / ".join(f"{median(each):.1f}" for each in zip(*part, strict=True)) for part in parts
        ]
        yield f"| {name} | {' | '.join(cells)} |"


def report(found: dict[Manner, list[Pair]]) -> None:
    """The tables."""
    print("\n| rows | TRL's way | ours, tokens/s | TRL | ratio (range) | of CPU time |")
    print("|---|---|---|---|---|---|")
    print("\n".join(speeds(manner, pairs) for manner, pairs in found.items()))
    print(
        "\n| rows | TRL's way | our peak, MiB | TRL's | ratio "
        "| ours above the model | TRL's | ratio |"
    )
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(memories(manner, pairs) for manner, pairs in found.items()))
    steps = len(next(iter(found.values()))[0].ours)
    print(
        "\n| rows, TRL's way | loss of step | " + " | ".join(map(str, range(1, steps + 1))) + " |"
    )
    print("|---|---|" + "---|" * steps)
    for manner, pairs in found.items():
        print("\n".join(losses(manner, pairs[0])))
    largest = max(largest_difference(pair) for pairs in found.values() for pair in pairs)
    parts = " | ".join([*PARTS, "first step"])
    print(f"\n| clock / CPU seconds from the start | {parts} |\n|---|---|---|---|---|")
    print("\n".join(starts([pair for pairs in found.values() for pair in pairs])))
    print(f"\nLargest difference between two losses of a step: {largest:.1e} of the loss.")


def main() -> None:
    """Every manner, round after round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", required=True, help="the Python that has TRL")
    parser.add_argument("--base", required=True)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--only", default="", help="a part of 'rows: TRL's way'")
    arguments = parser.parse_args()
    found: dict[Manner, list[Pair]] = {}
    for _ in range(arguments.rounds):
        for manner in MANNERS:
            if arguments.only not in f"{manner.kind}: {manner.name}":
                continue
            rows = rows_of(manner.kind, arguments.base, arguments.seed)
            found.setdefault(manner, []).append(compare(manner, rows, arguments))
            print(speeds(manner, found[manner][-1:]), file=sys.stderr, flush=True)
    report(found)


if __name__ == "__main__":
    main()
