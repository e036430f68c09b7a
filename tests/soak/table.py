"""The closing table: kills by store and kind, where they fell, and what differed."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from soak.broken import Broken
from soak.places import KINDS
from soak.sitting import kills_in

Runs = Mapping[str, Sequence[Broken]]


def rows(runs: Runs) -> list[dict[str, Any]]:
    """One for each store and kind of kill."""
    made = []
    for store, broken in runs.items():
        kills = [kill for run in broken for kill in run.kills]
        for kind in KINDS:
            of_kind = [kill for kill in kills if kill.kind == kind]
            landed = sum(kill.has_landed for kill in of_kind)
            made.append({"store": store, "killed at": kind, "kills": len(of_kind), "there": landed})
    return made


def problems(runs: Runs) -> list[str]:
    """What was not as it should be."""
    return [
        f"{store} run {number}: {problem}"
        for store, broken in runs.items()
        for number, run in enumerate(broken, start=1)
        for problem in run.problems
    ]


def markdown(runs: Runs, *, seed: int, took_s: float) -> str:
    """The table and its sum."""
    lines = ["| store | killed at | kills | fell there |", "|---|---|---|---|"]
    lines += ["| " + " | ".join(map(str, row.values())) + " |" for row in rows(runs)]
    for store, broken in runs.items():
        equal = sum(not run.problems for run in broken)
        passed = sum(run.paused is not None for run in broken)
        lines.append(
            f"{store}: {equal} of {len(broken)} broken trainings equal the unbroken one bit for "
            f"bit; {passed} attempts that were passed published nothing."
        )
    return "\n".join([*lines, f"{kills_in(runs)} kills in {took_s:.0f} s; seed {seed}."])


def write_table(folder: Path, runs: Runs, *, seed: int, took_s: float) -> None:
    """``soak.json`` and ``soak.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    said = {"seed": seed, "seconds": round(took_s, 1), "rows": rows(runs)}
    said["problems"] = problems(runs)
    (folder / "soak.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    text = markdown(runs, seed=seed, took_s=took_s)
    (folder / "soak.md").write_text(text + "\n", encoding="utf-8")
