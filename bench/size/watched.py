"""A program with its cost: wall and CPU seconds, and memory from /proc, of all its processes."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PERIOD_S = 0.25
KIB, MB = 1024, 1e6


@dataclass(frozen=True)
class Cost:
    """What a program took; ``cpu_s`` with its children's."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    """Most memory of all its processes together: their own pages, and those of files."""
    own_mb: float
    """Most memory that is no file's."""
    load: float


def watched(command: Sequence[str], env: Mapping[str, str]) -> Cost:
    """Run it to its end.

    Raises:
        SystemExit: it failed; what it said is on this program's stderr.
    """
    started_s, peak, own = time.monotonic(), 0.0, 0.0
    before = os.times()
    process = subprocess.Popen(command, env={**os.environ, **env}, stdout=sys.stderr)  # noqa: S603
    while process.poll() is None:
        sizes = [memory_mb(pid) for pid in family(process.pid)]
        peak = max(peak, sum(total for total, _ in sizes))
        own = max(own, sum(anonymous for _, anonymous in sizes))
        time.sleep(PERIOD_S)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    after = os.times()
    cpu_s = after.children_user + after.children_system
    cpu_s -= before.children_user + before.children_system
    return Cost(time.monotonic() - started_s, cpu_s, peak, own, os.getloadavg()[0])


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    return found


def memory_mb(pid: int) -> tuple[float, float]:
    """Proportional set size of a process, and what of it is no file's; 0 when it is gone."""
    sizes = dict.fromkeys(("Pss:", "Pss_Anon:"), 0.0)
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(" ")
            if name in sizes:
                sizes[name] = int(rest.split()[0]) * KIB / MB
    return sizes["Pss:"], sizes["Pss_Anon:"]
