"""Every run of an output as one document, oldest first."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pydantic import ValidationError

from trainer.contract.lineage import BaseRecord, Cause, History, HistoryRun
from trainer.contract.outcome import Move
from trainer.contract.verdict import Comparison, Judgement, Verdict
from trainer.errors import StageError
from trainer.judge.evidence import PROMOTED
from trainer.judge.ledger import Ledger, plain_recipe
from trainer.lineage.causes import causes_of, origin_of
from trainer.lineage.pointer import read_pointer
from trainer.lineage.record import RunRecord, read_record
from trainer.lineage.target import Inventory, inventory
from trainer.store import layout
from trainer.store.base import MissingError, Store
from trainer.store.checked import unreadable
from trainer.store.fence import read_owner
from trainer.store.manifest import BaseBinding
from trainer.store.removed import removed_by

READERS = 8
"""Requests under way at a time: a bucket answers each in milliseconds, thousands in minutes."""


@dataclass(frozen=True)
class Known:
    """What the output knows of its runs, beside the runs themselves."""

    recipes: Mapping[str, str]
    moves: Sequence[Move]
    promoted: str


def read_history(store: Store) -> History:
    """Read all of it.

    Raises:
        StageError: there is no run, or the store cannot be read.
    """
    runs = inventory(store)
    records = read_records(store, runs)
    recipes, ledger_problem = _recipes(store)
    pointer, pointer_problem = read_pointer(store)
    moves = pointer.history if pointer else []
    known = Known(recipes, moves, pointer.run_id if pointer else "")
    owner = _owner(store)
    return History(
        uri=store.uri,
        namespace=owner["namespace"],
        name=owner["name"],
        runs=told_runs(records, known),
        promoted_run_id=known.promoted,
        moves=moves,
        problems=[problem for problem in (pointer_problem, ledger_problem) if problem],
    )


def read_records(store: Store, runs: Inventory) -> list[RunRecord]:
    """Every run, several at a time."""
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda each: read_record(store, *each), sorted(runs.items())))


def told_runs(records: Sequence[RunRecord], known: Known) -> list[HistoryRun]:
    """The runs in order, each with its causes."""
    ordered = sorted(records, key=_age)
    causes = causes_of([origin_of(record, known.recipes) for record in ordered])
    numbers = _numbers(ordered)
    return [
        told_run(record, known, number=number, causes=why)
        for record, number, why in zip(ordered, numbers, causes, strict=True)
    ]


def created_of(record: RunRecord) -> str:
    """When the run was trained; what an older release trained, when it was first judged."""
    lineage = record.lineage
    if lineage is not None:
        return lineage.created
    if record.removed is not None:
        return record.removed.ended
    return min((report.created for report in record.reports), default="")


def _age(record: RunRecord) -> tuple[bool, str, int, str]:
    """A run that left no time is under way or broke off: it comes last."""
    created = created_of(record)
    return not created, created.replace("+00:00", "Z"), _number(record) or 0, record.id


def _number(record: RunRecord) -> int | None:
    lineage = record.lineage
    if lineage is not None:
        return lineage.run
    if record.reports:
        return min(report.run for report in record.reports) or None
    return record.claim.run if record.claim else None


def _numbers(ordered: Sequence[RunRecord]) -> list[int | None]:
    """Each run's number; None for all where they do not tell the runs apart.

    ``tunekeeper run`` keeps no status, so every run of it is its first.
    """
    numbers = [_number(record) for record in ordered]
    repeated = [number for number, times in Counter(numbers).items() if number and times > 1]
    return [None] * len(numbers) if repeated else numbers


def told_run(
    record: RunRecord, known: Known, *, number: int | None, causes: Sequence[Cause]
) -> HistoryRun:
    """One run."""
    lineage, report, plan = record.lineage, record.report, record.plan
    dataset = lineage.dataset_digest if lineage else plan.dataset_digest if plan else ""
    return HistoryRun(
        id=record.id,
        state=record.state,
        number=number,
        created=created_of(record),
        judged=report.created if report else "",
        removed=record.removed.time if record.removed else "",
        causes=list(causes),
        base=base_record(record.base),
        dataset_digest=dataset,
        partial=record.manifest is not None and record.manifest.partial is not None,
        cost=report.cost if report else None,
        moves=[move for move in known.moves if move.run_id == record.id],
        promoted=record.id == known.promoted,
        git_commit=lineage.git_commit if lineage else "",
        image=lineage.image if lineage else "",
        identity_hash=lineage.identity_hash if lineage else "",
        rerun=lineage.rerun if lineage else "",
        problems=list(record.problems),
        **(_judged(report.judgement) if report else _remembered(record)),
    )


def _remembered(record: RunRecord) -> dict[str, object]:
    """Of a run whose files are gone; a verdict of a newer release is none that can be told."""
    stone = record.removed
    if stone is None:
        return {}
    is_known = stone.verdict in set(Verdict)
    told: dict[str, object] = {"verdict": Verdict(stone.verdict)} if is_known else {}
    return told | {"reason": removed_by(stone)}


def _judged(judgement: Judgement) -> dict[str, object]:
    base = [each for each in judgement.comparisons if each.arm != PROMOTED]
    promoted = [each for each in judgement.comparisons if each.arm == PROMOTED]
    return {
        "verdict": judgement.verdict,
        "reason": judgement.reason,
        "metric": judgement.metric,
        "confidence_percent": judgement.confidence_percent,
        "arms": judgement.arms,
        "hardest": min(base, key=_headroom, default=None),
        "against_promoted": promoted[0] if promoted else None,
    }


def _headroom(comparison: Comparison) -> float:
    return comparison.ci_low - comparison.threshold


def base_record(base: BaseBinding | None) -> BaseRecord | None:
    """The base model as the documents have it."""
    return None if base is None else BaseRecord.model_validate(base.model_dump())


def _recipes(store: Store) -> tuple[dict[str, str], str]:
    """Recipe of each run that was judged, and why they cannot be read."""
    try:
        ledger = Ledger.model_validate_json(store.read(layout.LEDGER))
    except MissingError:
        return {}, ""
    except ValidationError as error:
        return {}, f"{layout.LEDGER}: {unreadable(error)}"
    looks = [look for split in ledger.splits.values() for look in split]
    return {look.run_id: plain_recipe(look) for look in looks}, ""


def _owner(store: Store) -> dict[str, str]:
    try:
        return read_owner(store)
    except (MissingError, StageError):
        return {"namespace": "", "name": ""}
