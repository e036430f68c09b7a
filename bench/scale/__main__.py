"""Is the operator fast and small? On a real API server, beside a bare client that only writes.

Prints Markdown and, with --json, the same for machines. Parts: starts, size, ends, leaders, outage.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

from bench.scale import ends, leaders, outage, size, starts
from bench.scale.table import Line, table
from bench.scale.world import World, say, world

PARTS: dict[str, Callable[[World, argparse.Namespace], list[Line]]] = {
    "starts": lambda w, t: asyncio.run(starts.measure(w, t.starts, t.rounds, t.alone, t.width)),
    "ends": lambda w, t: asyncio.run(ends.measure(w, t.ends, t.rate, t.width)),
    "leaders": lambda w, t: leaders.measure(w, t.times),
    "size": lambda w, t: size.measure(w, t.objects, t.idle, t.width),
    "outage": lambda w, t: outage.measure(w, t.outage),
}
"""In this order; what is slow to clear away is last."""


def main() -> int:
    """Measure and print; 1 when a promise is not kept."""
    told = _arguments()
    lines: list[Line] = []
    for name in told.parts or PARTS:
        say(f"== {name}")
        with world(told.workers) as known:
            lines += PARTS[name](known, told)
        say(table(lines))
    sys.stdout.write(table(lines))
    if told.json:
        told.json.write_text(json.dumps([line.as_json() for line in lines], indent=1) + "\n")
    return 0 if all(line.is_kept for line in lines) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.scale", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; none: all")
    parser.add_argument("--starts", type=int, default=1000, help="objects per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--alone", type=int, default=100, help="objects that come one by one")
    parser.add_argument("--width", type=int, default=32, help="of the bare client")
    parser.add_argument("--workers", type=int, default=8, help="of the operator")
    parser.add_argument("--objects", type=int, default=10_000, help="that stand still")
    parser.add_argument("--idle", type=float, default=60, help="seconds")
    parser.add_argument("--ends", type=int, default=1000, help="Jobs that end")
    parser.add_argument("--rate", type=float, default=50, help="of them a second")
    parser.add_argument("--times", type=int, default=3, help="that a leader goes, either way")
    parser.add_argument("--outage", type=float, default=150, help="seconds")
    parser.add_argument("--json", type=Path, help="a file")
    told = parser.parse_args()
    unknown = set(told.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return told


if __name__ == "__main__":
    sys.exit(main())
