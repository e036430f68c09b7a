"""What the files of an old run say of it: when it ended, how, and whether somebody works on it."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import ValidationError

from trainer.contract.base import Wire
from trainer.contract.failures import FailureClass
from trainer.contract.outcome import Outcome
from trainer.errors import StageError
from trainer.store import layout
from trainer.store.base import Entry, MissingError, Store
from trainer.store.checked import read_document
from trainer.store.fence import decode
from trainer.store.manifest import AnswersManifest, EvaluationManifest, Lineage, RunManifest
from trainer.store.removed import CLAIM, MANIFEST, REMOVED, Removed, is_removed

RUN_KEY = re.compile(r"^runs/([0-9a-f]{16})/(.+)$")
EVALUATION = re.compile(r"^evaluations/[^/]+/manifest\.json$")
ANSWERS = re.compile(r"^generations/[0-9a-f]+\.json$")
OUTCOME = "train-outcome.json"

Files = Mapping[str, Entry]
"""By name within the run."""

Document = TypeVar("Document", bound=Wire)


def runs_of(store: Store) -> dict[str, dict[str, Entry]]:
    """Every file of every run."""
    found: dict[str, dict[str, Entry]] = {}
    for entry in store.list("runs/"):
        named = RUN_KEY.match(entry.key)
        if named:
            found.setdefault(named[1], {})[named[2]] = entry
    return found


def may_be_live(store: Store, run_id: str, files: Files, *, uid: str) -> bool:
    """Whether an attempt of another object may hold the run's claim.

    Of the object's own none can be alive: it has one attempt at a time, and that is who asks.
    """
    if CLAIM not in files:
        return False
    key = layout.claim(run_id)
    claim = decode(store.read(key), store, key)
    if claim.get("uid") == uid:
        return False
    said = _outcome(store, layout.run(run_id, OUTCOME)) if OUTCOME in files else None
    told = (said.uid, said.run, said.attempt) if said else None
    return told != (claim.get("uid"), claim.get("run"), claim.get("attempt"))


def ended_at(store: Store, run_id: str, files: Files) -> str:
    """When the run was judged last, else when it was trained, else when it left its last file.

    A copied output keeps what its documents say, not when its files were written.
    """
    judged = _evaluations(store, run_id, files)
    times = [one.created for one in judged] or [
        one.created for one in _lineages(store, run_id, files)
    ]
    known = [time.replace("+00:00", "Z") for time in times]
    return max(known, default="") or _last_written(files)


def stone_of(store: Store, run_id: str, files: Files, *, now: str, keep_runs: int) -> Removed:
    """What will be left of the run; the stone that is there, where a removal broke off."""
    known = _read(store, run_id, REMOVED, Removed) if is_removed(files) else None
    if known is not None:
        return known
    trained = _read(store, run_id, MANIFEST, RunManifest) if MANIFEST in files else None
    return Removed(
        run_id=run_id,
        time=now,
        keep_runs=keep_runs,
        ended=ended_at(store, run_id, files),
        verdict=_verdict(store, run_id, files),
        base=trained.base if trained else None,
        lineage=next(iter(_lineages(store, run_id, files)), None),
    )


def _evaluations(store: Store, run_id: str, files: Files) -> list[EvaluationManifest]:
    names = _like(EVALUATION, files)
    found = (_read(store, run_id, name, EvaluationManifest) for name in names)
    return [one for one in found if one is not None]


def _lineages(store: Store, run_id: str, files: Files) -> list[Lineage]:
    """The record of the training; where nothing was trained, that of the answers."""
    trained = _read(store, run_id, MANIFEST, RunManifest) if MANIFEST in files else None
    answers = (_read(store, run_id, name, AnswersManifest) for name in _like(ANSWERS, files))
    found = [one.lineage for one in (trained, *answers) if one is not None]
    return [lineage for lineage in found if lineage is not None]


def _like(pattern: re.Pattern[str], names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if pattern.match(name))


def _last_written(files: Files) -> str:
    times = [entry.modified for entry in files.values() if entry.modified is not None]
    newest = max(times, default=datetime.fromtimestamp(0, UTC))
    return newest.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _verdict(store: Store, run_id: str, files: Files) -> str:
    """Of the newest judgement."""
    judged = _evaluations(store, run_id, files)
    newest = max(judged, key=lambda one: one.created, default=None)
    if newest is None:
        return ""
    key = layout.evaluation(run_id, newest.evaluation_id, "verdict.json")
    try:
        found = decode(store.read(key), store, key).get("verdict", "")
    except (MissingError, StageError):
        return ""
    return str(found)


def _read(store: Store, run_id: str, name: str, kind: type[Document]) -> Document | None:
    """None where it says nothing that this release reads: its age is then that of its files."""
    try:
        return read_document(store, layout.run(run_id, name), kind)
    except StageError as error:
        if error.failure is FailureClass.INVALID_SPEC:
            return None
        raise


def _outcome(store: Store, key: str) -> Outcome | None:
    try:
        return Outcome.model_validate_json(store.read(key).partition(b"\n")[0])
    except (MissingError, ValidationError):
        return None
