"""``python -m soak``: kills trainings and compares what they become with one that nobody killed.

SOAK_SEED: where the kills fall; printed. SOAK_KILLS: at least so many. SOAK_STORES: of file and
s3. SOAK_OUT: folder for the table, as JSON and markdown.
"""

import os
import secrets
import sys
import tempfile
import time
from pathlib import Path

from soak.ground import GROUNDS
from soak.sitting import sit
from soak.table import markdown, problems, write_table

KILLS = 50


def main() -> int:
    """0: every broken training became what the unbroken one is."""
    asked = os.environ.get
    seed = int(asked("SOAK_SEED") or secrets.randbelow(10**6))
    kills = int(asked("SOAK_KILLS") or KILLS)
    stores = (asked("SOAK_STORES") or " ".join(GROUNDS)).split()
    began_s = time.monotonic()

    def say(text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began_s:6.0f} s  {text}\n")
        sys.stdout.flush()

    say(f"soak: {kills} kills on {' and '.join(stores)}, SOAK_SEED={seed}")
    with tempfile.TemporaryDirectory(prefix="tunekeeper-soak-") as folder:
        runs = sit(Path(folder), seed=seed, kills=kills, stores=stores, say=say)
    took_s = time.monotonic() - began_s
    sys.stdout.write(markdown(runs, seed=seed, took_s=took_s) + "\n")
    if asked("SOAK_OUT"):
        write_table(Path(asked("SOAK_OUT", "")), runs, seed=seed, took_s=took_s)
    for problem in problems(runs):
        sys.stdout.write(f"FAILED {problem}\n")
    return 1 if problems(runs) else 0


if __name__ == "__main__":
    sys.exit(main())
