"""``python -m faults``: the fault suite. What it does is asked by environment variables.

FAULT_SEED: of the sample; printed. FAULTS=all: every case. CASE: one id, or one kind. COUNT: how
often each runs. LANES: cases at once. FAULTS_OUT: folder for the table, as JSON and markdown.
"""

import os
import secrets
import sys
import time
from pathlib import Path

from faults.rig import Knobs
from faults.suite import LANES, sit, to_stdout
from faults.table import markdown, write_table

FULL = Knobs(quiet_s=2.0, stale_s=60.0, away_s=60.0)


def main() -> int:
    """0: every case passed."""
    asked = os.environ.get
    is_all = asked("FAULTS", "") == "all"
    seed = int(asked("FAULT_SEED") or secrets.randbelow(10**6))
    to_stdout(f"fault suite, FAULT_SEED={seed}")
    began_s = time.monotonic()
    results = sit(
        seed=seed,
        case_id=asked("CASE", ""),
        is_all=is_all,
        count=int(asked("COUNT") or 1),
        knobs=FULL if is_all else Knobs(),
        lanes=int(asked("LANES") or LANES),
    )
    took_s = time.monotonic() - began_s
    to_stdout(markdown(results, took_s, seed))
    if asked("FAULTS_OUT"):
        write_table(Path(asked("FAULTS_OUT", "")), results, took_s, seed)
    failed = [result.case.id for result in results if not result.has_passed]
    for case_id in failed:
        to_stdout(f"FAILED {case_id}; run it alone: make test-faults CASE={case_id}")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
