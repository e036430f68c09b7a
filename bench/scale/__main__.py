"""Is the operator fast and small? On a real API server, beside a bare client that only writes."""

import argparse
import asyncio
import json
import sys

from bench.scale import starts
from bench.scale.table import table
from bench.scale.world import world


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--alone", type=int, default=100)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--workers", type=int, default=8)
    told = parser.parse_args()
    with world(workers=told.workers) as known:
        lines = asyncio.run(starts.measure(known, told.starts, told.rounds, told.alone, told.width))
    sys.stdout.write(table(lines))
    sys.stdout.write(json.dumps([line.as_json() for line in lines]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
