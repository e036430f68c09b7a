"""What prepare leaves in the store: the run's id, prepared/, and what is already there."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trainer.contract.base import CONTRACT_VERSION
from trainer.contract.outcome import DataError, DataReport
from trainer.contract.request import StageRequest
from trainer.data.plan import PreparedPlan
from trainer.data.prepared import PLAN, REPORT, SPLITS
from trainer.errors import StageError
from trainer.store import layout
from trainer.store.base import MissingError, Store
from trainer.store.checked import (
    missing_files,
    read_answers_manifest,
    read_manifest,
    sha256_file,
)

FAILED_REPORT = f"staging/{REPORT}"
"""Where a report goes that belongs to no run: the data was refused."""


@dataclass(frozen=True)
class Finished:
    """What a run has in the output already."""

    trained: bool = False
    generated: bool = False
    not_needed: bool = False
    adapter_digest: str | None = None


def run_id_of(request: StageRequest, base_digest: str, splits: dict[str, str]) -> str:
    """The run's name: what it trains on and how, whoever asks."""
    return run_id_from(request.identity_hash, base_digest, splits, rerun=request.rerun)


def run_id_from(
    identity_hash: str,
    base_digest: str,
    splits: Mapping[str, str],
    *,
    rerun: str,
    contract: int = CONTRACT_VERSION,
) -> str:
    """The same from what a manifest records."""
    document = {
        "contract": contract,
        "identity": identity_hash,
        "base": base_digest,
        "splits": dict(splits),
        "rerun": rerun,
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def dataset_digest(splits: dict[str, str]) -> str:
    """One digest of all splits."""
    text = "".join(f"{name}\0{splits[name]}\n" for name in sorted(splits))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def find_finished(store: Store, run_id: str, request: StageRequest) -> Finished:
    """Whether the run is trained and its answers are there; a partial result is none."""
    trained = read_manifest(store, run_id)
    if trained is not None and trained.partial is not None:
        trained = None
    if trained is not None and missing_files(store, run_id, trained.files):
        trained = None
    answers = read_answers_manifest(store, run_id, request.generation_hash)
    if answers is not None and missing_files(store, run_id, answers.files):
        answers = None
    adapter = trained.adapter_digest if trained is not None else None
    if answers is None:
        return Finished(trained=trained is not None, adapter_digest=adapter)
    if answers.not_needed:
        stops = request.spec.evaluation.when_not_needed == "Stop"
        return Finished(trained is not None, stops, stops, adapter)
    generated = adapter is not None and answers.adapter_digest == adapter
    return Finished(trained is not None, generated, adapter_digest=adapter)


def find_plan(store: Store, run_id: str, digest: str, generation_hash: str) -> PreparedPlan | None:
    """An earlier prepare's plan, if it was for these rows and settings and is all there."""
    try:
        plan = PreparedPlan.model_validate_json(store.read(layout.prepared(run_id, PLAN)))
    except (MissingError, ValueError):
        return None
    is_same = plan.dataset_digest == digest and plan.generation_hash == generation_hash
    is_whole = all(store.exists(layout.prepared(run_id, name)) for name in plan.files)
    return plan if is_same and is_whole else None


def publish(
    store: Store, run_id: str, plan: PreparedPlan, errors: list[DataError], directory: Path
) -> PreparedPlan:
    """Upload prepared/; plan.json goes last, so a plan means that all of it is there."""
    report = plan.data.model_copy(update={"report_uri": report_uri(store, run_id)})
    names = [f"{split}.arrow" for split in SPLITS]
    (directory / REPORT).write_bytes(report_bytes(report, errors))
    files = {name: sha256_file(directory / name) for name in (*names, REPORT)}
    for name in files:
        store.upload(directory / name, layout.prepared(run_id, name))
    complete = plan.model_copy(update={"data": report, "files": files})
    store.write(layout.prepared(run_id, PLAN), (complete.model_dump_json() + "\n").encode())
    return complete


def publish_refusal(store: Store, report: DataReport, errors: list[DataError]) -> DataReport:
    """Leave the complete list of errors where the user can read it."""
    complete = report.model_copy(update={"report_uri": f"{store.uri}/{FAILED_REPORT}"})
    try:
        store.write(FAILED_REPORT, report_bytes(complete, errors))
    except StageError:  # the data is wrong whether or not the list can be kept
        return report
    return complete


def report_uri(store: Store, run_id: str) -> str:
    """Where the report of a run lies."""
    return f"{store.uri}/{layout.prepared(run_id, REPORT)}"


def report_bytes(report: DataReport, errors: list[DataError]) -> bytes:
    """data-report.json: the report with every error instead of the first ten."""
    document = report.model_dump(mode="json") | {"errors": [one.model_dump() for one in errors]}
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()
