"""The table of a sitting, per kind of fault: as markdown for bench/RESULTS.md, and as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path

from cluster.api import Json
from faults.case import Result
from faults.suite import by_kind


def rows(results: Sequence[Result]) -> list[Json]:
    """One per kind. Of a mutant, passed means caught."""
    return [
        {
            "kind": kind,
            "runs": len(found),
            "passed": sum(result.has_passed for result in found),
            "violations": sum(len(result.violations) for result in found if not result.has_passed),
            "seconds": round(sum(result.seconds for result in found), 1),
        }
        for kind, found in by_kind(results).items()
    ]


def markdown(results: Sequence[Result], took_s: float, seed: int) -> str:
    """The table and its sum."""
    made = rows(results)
    passed = sum(row["passed"] for row in made)
    lines = ["| kind | runs | passed | violations | seconds |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(str(cell) for cell in row.values()) + " |" for row in made]
    lines.append(f"{passed} of {len(results)} runs passed in {took_s:.0f} s; seed {seed}.")
    return "\n".join(lines)


def write_table(folder: Path, results: Sequence[Result], took_s: float, seed: int) -> None:
    """``faults.json`` and ``faults.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"seed": seed, "seconds": round(took_s, 1), "kinds": rows(results)}
    (folder / "faults.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    (folder / "faults.md").write_text(markdown(results, took_s, seed) + "\n", encoding="utf-8")
