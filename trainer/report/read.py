"""Finding a finished report in a store.

The store's root may be a job's output, one run of it, or one evaluation of a run: people point
at whichever folder they have in front of them.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from pydantic import ValidationError

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.report.model import Report
from trainer.report.units import instant
from trainer.store import layout
from trainer.store.base import MissingError, Store
from trainer.store.pointerfile import PointerFile

REPORT = "report.json"
EVALUATIONS = "evaluations/"
NEVER = datetime.min.replace(tzinfo=UTC)


def latest_report(store: Store, run_id: str | None = None) -> Report:
    """The newest report of a run; of no run in particular: the promoted one's, else the newest.

    Raises:
        StageError: NOT_FOUND, there is none; UNEXPECTED, none of them can be read.
    """
    if run_id is not None:
        return _newest(store, _below_run(store, run_id), f"run {run_id}")
    if store.exists(REPORT):
        return _newest(store, [REPORT], "this evaluation")
    if in_run := list(_reports(store, EVALUATIONS)):
        return _newest(store, in_run, "this run")
    promoted = list(_below_run(store, _promoted_run(store)))
    return _newest(store, promoted or _reports(store, "runs/"), "this output")


def _below_run(store: Store, run_id: str | None) -> Iterator[str]:
    return _reports(store, layout.run(run_id, EVALUATIONS)) if run_id else iter(())


def _reports(store: Store, prefix: str) -> Iterator[str]:
    ending = f"/{REPORT}"
    keys = (entry.key for entry in store.list(prefix))
    return (key for key in keys if key.endswith(ending) and EVALUATIONS in key)


def _promoted_run(store: Store) -> str | None:
    """The promoted run; None also when the pointer cannot be read, as reports still can."""
    try:
        return PointerFile.model_validate_json(store.read(layout.POINTER)).run_id
    except (MissingError, ValidationError):
        return None


def _newest(store: Store, keys: Iterable[str], whose: str) -> Report:
    found = list(keys)
    if not found:
        raise StageError(
            FailureClass.NOT_FOUND,
            f"{store.uri}: {whose} has no {REPORT}; run the job to its end first, or give the "
            "job's output, a runs/<run id> folder or an evaluations/<id> folder",
        )
    readable = [report for key in found if (report := _read(store, key)) is not None]
    if not readable:
        raise StageError(
            FailureClass.UNEXPECTED,
            f"{store.uri}/{found[-1]}: no report that this version can read; it is damaged or "
            "was written by another version: run the job again, which judges it again",
        )
    return max(readable, key=lambda report: instant(report.created) or NEVER)


def _read(store: Store, key: str) -> Report | None:
    try:
        return Report.model_validate_json(store.read(key))
    except (MissingError, ValidationError):
        return None
