"""Removes the runs that ``output.keepRuns`` has no room for; the judge does so at its end.

Never removed: the run in use, the one that is judged, the pinned one, the one that the policy would
take up without its pin, the anchor, whatever the run in use is measured against, the last
``keepRuns`` different runs that the pointer has been at (a person may want to roll back to them),
and a run that somebody may still be working on. Of all others the newest ``keepRuns`` stay.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from trainer.contract.request import StageRequest
from trainer.errors import StageError
from trainer.judge import ledger, pointer
from trainer.judge.remains import Files, ended_at, may_be_live, runs_of, stone_of
from trainer.store.base import MissingError, Store
from trainer.store.removed import REMOVED, is_removed, remove_run

log = logging.getLogger(__name__)

MAX_REMOVED = 20
"""By one judge: a person waits for its verdict. The next one goes on."""


@dataclass(frozen=True)
class Housekeeping:
    """One judge at its end."""

    store: Store
    request: StageRequest
    named: frozenset[str]
    """Runs that the judgement compared with."""
    now: str


def prune(keeping: Housekeeping) -> str:
    """Remove what there is no room for; returns why that was not possible, else nothing.

    Whatever goes wrong here is no failure of the judgement.
    """
    try:
        removed = _prune(keeping)
    except (StageError, MissingError, OSError) as error:
        reason = error.message if isinstance(error, StageError) else str(error)
        log.warning("spec.output.keepRuns: %s", reason)
        return f"Older runs could not be removed (spec.output.keepRuns): {reason}"
    if removed:
        log.info("spec.output.keepRuns: removed %s", ", ".join(removed))
    return ""


def _prune(keeping: Housekeeping) -> list[str]:
    kept, runs = protected(keeping), runs_of(keeping.store)
    others = {
        run_id: files
        for run_id, files in runs.items()
        if run_id not in kept and files.keys() != {REMOVED}
    }
    return [run_id for run_id in _chosen(keeping, others) if _removed(keeping, others, run_id)]


def protected(keeping: Housekeeping) -> frozenset[str]:
    """Runs that stay whatever their age."""
    request, (current, _) = keeping.request, pointer.read(keeping.store)
    promotion, keep = request.spec.promotion, request.spec.output.keep_runs
    kept = {*keeping.named, request.run_id, promotion.pin or ""}
    if current is not None:
        moved = dict.fromkeys(move.run_id for move in reversed(current.history))
        pointed = {current.run_id, current.anchor, current.policy_choice}
        kept |= {*pointed, *list(moved)[:keep], *ledger.rivals_of(keeping.store, current.run_id)}
    return frozenset(kept)


def _chosen(keeping: Housekeeping, others: Mapping[str, Files]) -> list[str]:
    """What a removal left half-done, then the oldest beyond ``keepRuns``."""
    room = _room(keeping)
    half_done = [run_id for run_id, files in others.items() if is_removed(files)]
    whole = {run_id: files for run_id, files in others.items() if run_id not in half_done}
    ordered = _oldest_first(keeping, whole) if len(whole) > room else []
    return [*half_done, *ordered[: max(0, len(ordered) - room)]][:MAX_REMOVED]


def _room(keeping: Housekeeping) -> int:
    """How many others may stay; the judged run is one of ``keepRuns`` unless it was in use."""
    request, (current, _) = keeping.request, pointer.read(keeping.store)
    promoted = {move.run_id for move in current.history} if current is not None else set()
    return request.spec.output.keep_runs - (request.run_id not in promoted)


def _oldest_first(keeping: Housekeeping, runs: Mapping[str, Files]) -> list[str]:
    """Those that have ended, by when they did."""
    store, uid = keeping.store, keeping.request.job.uid
    over = {
        run_id: files
        for run_id, files in runs.items()
        if not may_be_live(store, run_id, files, uid=uid)
    }
    ended = {run_id: ended_at(store, run_id, files) for run_id, files in over.items()}
    return sorted(ended, key=lambda run_id: (ended[run_id], run_id))


def _removed(keeping: Housekeeping, others: Mapping[str, Files], run_id: str) -> bool:
    """Remove one run, unless the pointer has come to it in the meantime."""
    if run_id in protected(keeping):
        return False
    store, keep = keeping.store, keeping.request.spec.output.keep_runs
    stone = stone_of(store, run_id, others[run_id], now=keeping.now, keep_runs=keep)
    remove_run(store, others[run_id], stone)
    return True
