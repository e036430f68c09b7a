"""Does the verdict keep its word? One-sided error, coverage and power of the gate, by simulation.

Asks the judge's own functions about drawn scores, many samples at once; small 0/1 test splits also
without chance, outcome by outcome. Parts: exact, errors, looks, gates, guards, planned, stated,
means. Prints Markdown and, with --json, the same for machines; exits with 1 when a promise breaks.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from bench.verdict import errors, exact, looks, power
from bench.verdict.table import Line, table

Part = Callable[[argparse.Namespace], Iterator[Line]]


def _errors(told: argparse.Namespace) -> Iterator[Line]:
    for at, world in enumerate(errors.cells(tuple(told.sizes))):
        yield errors.measure(world, told.draws, told.confidence, told.seed + at)


PARTS: dict[str, tuple[str, Part]] = {
    "exact": (
        "0/1 scores, every outcome: the worst over 110 shares of differing items",
        lambda told: exact.lines(
            tuple(n for n in (30, 60, 100, 300) if n in (60, *told.sizes)), told.confidence
        ),
    ),
    "errors": ("One-sided error at the threshold, and coverage", _errors),
    "looks": (
        "Family-wise error of ten looks at one test split",
        lambda told: looks.repeated(tuple(told.sizes), told.draws, told.seed),
    ),
    "gates": (
        "Three arms",
        lambda told: looks.gates(tuple(told.sizes), told.draws, told.seed),
    ),
    "guards": (
        "What guards refuse (margins on estimates: told, not promised)",
        lambda told: looks.guarded(tuple(told.sizes), told.draws, told.seed),
    ),
    "planned": (
        "Power of the whole gate with the items that are asked for",
        lambda told: power.planned(told.confidence),
    ),
    "stated": (
        "Power of the whole gate at the effect that a run states, 0/1",
        lambda told: power.stated(told.draws, told.confidence, told.seed),
    ),
    "means": (
        "The same of groups and graded scores",
        lambda told: power.stated_of_means(told.draws, told.confidence, told.seed),
    ),
}


def main() -> int:
    """Measure and print; 1 when a promise is not kept."""
    told = _arguments()
    lines: list[Line] = []
    with Progress(console=Console(stderr=True)) as progress:
        for name in told.parts or PARTS:
            lines += _measured(name, told, progress)
    if told.json:
        told.json.write_text(json.dumps([line.as_json() for line in lines], indent=1) + "\n")
    broken = sum(not line.kept for line in lines)
    print(f"{len(lines)} cells. {f'{broken} promises BROKEN' if broken else 'Promises kept'}.")
    return 1 if broken else 0


def _measured(name: str, told: argparse.Namespace, progress: Progress) -> list[Line]:
    title, part = PARTS[name]
    task, started_s, lines = progress.add_task(name, total=None), time.process_time(), []
    for line in part(told):
        lines.append(line)
        progress.update(task, advance=1, description=f"{name}: {line.world}, n {line.n}"[:70])
        if not progress.console.is_terminal:  # a log may be cut off: what is known is in it
            progress.console.print(table([line]).splitlines()[-1], soft_wrap=True)
    progress.update(task, total=len(lines), description=name)
    spent = time.process_time() - started_s
    print(f"\n### {title}\n\n{table(lines)}\n{spent:.0f} s of CPU.", flush=True)
    return lines


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.verdict", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; none: all")
    parser.add_argument("--draws", type=int, default=20_000, help="per cell")
    parser.add_argument("--sizes", type=int, nargs="+", default=[30, 100, 300, 1000])
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--json", type=Path, help="a file")
    told = parser.parse_args()
    unknown = set(told.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return told


if __name__ == "__main__":
    sys.exit(main())
