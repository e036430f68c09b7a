"""removed.json: what is left of a run whose files were removed to make room.

The files go in an order that leaves no run that looks whole, wherever it breaks off: first what
says that it is one, then, with ``removed.json`` in its place, all the rest, and the claim last, so
that epochs are not counted anew beside what an earlier one left.
"""

from collections.abc import Collection

from pydantic import Field

from trainer.contract.base import Wire
from trainer.store import layout
from trainer.store.base import Store
from trainer.store.manifest import BaseBinding, Lineage

REMOVED = "removed.json"
CLAIM = "claim.json"
MANIFEST = "manifest.json"
PLAN = "prepared/plan.json"


class Removed(Wire):
    """What a history still tells of the run."""

    run_id: str
    time: str = Field(description="When it was removed; UTC, ISO 8601.")
    keep_runs: int = Field(description="spec.output.keepRuns at that time.")
    ended: str = Field(default="", description="When it was judged last, or left its last file.")
    verdict: str = Field(default="", description="The newest; empty: it was not judged.")
    base: BaseBinding | None = None
    lineage: Lineage | None = None


def is_removed(names: Collection[str]) -> bool:
    """By the names of a run's files; one that was begun anew since is there again."""
    return REMOVED in names and MANIFEST not in names and PLAN not in names


def removed_by(stone: Removed) -> str:
    """What became of the run, as people read it."""
    return f"its files were removed by spec.output.keepRuns ({stone.keep_runs}) at {stone.time}"


def remove_run(store: Store, names: Collection[str], stone: Removed) -> None:
    """Remove a run's files and leave the stone.

    Raises:
        StageError: the store does not let it happen; what is done stays done.
    """
    run_id = stone.run_id
    marks = [name for name in names if _makes_whole(name)]
    for name in sorted(marks, key=lambda name: (name != MANIFEST, name)):
        store.delete(layout.run(run_id, name))
    text = stone.model_dump_json(exclude_defaults=True, indent=1)
    store.write(layout.run(run_id, REMOVED), f"{text}\n".encode())
    rest = [name for name in names if not _makes_whole(name) and name not in (REMOVED, CLAIM)]
    store.delete_all(layout.run(run_id, name) for name in rest)
    store.delete(layout.claim(run_id))


def _makes_whole(name: str) -> bool:
    """Whether the file says that training, answers or preparation are all there."""
    is_answers = name.startswith("generations/") and name.endswith(".json")
    return is_answers or name in (MANIFEST, PLAN)
