"""What a judgement reads from the store: manifests, answers, forgetting, losses; all checked."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from trainer.contract.failures import FailureClass
from trainer.contract.request import StageRequest
from trainer.data.message import Message
from trainer.data.prepared import Prepared, PreparedRows, open_prepared
from trainer.errors import StageError
from trainer.judge.evidence import Answers, Item
from trainer.report.model import LossPoint
from trainer.store import layout
from trainer.store.base import Store
from trainer.store.checked import download_checked, read_answers_manifest, read_manifest
from trainer.store.manifest import (
    TUNED,
    AnswersManifest,
    ArmAnswer,
    ForgettingLosses,
    RunManifest,
)

METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class RunRecord:
    """A finished run as it lies in the store."""

    prepared: Prepared
    answered: AnswersManifest
    trained: RunManifest | None
    items: Sequence[Item]
    answers: Mapping[str, Answers]
    forgetting: ForgettingLosses | None
    losses: Sequence[LossPoint]


def read_run(store: Store, request: StageRequest, work: Path) -> RunRecord:
    """Everything that train left for these generation settings.

    Raises:
        StageError: train has not finished, or left something other than what it vouched for.
    """
    run_id = request.run_id
    answered = read_answers_manifest(store, run_id, request.generation_hash)
    if answered is None:
        raise _unfinished(f"{layout.answers_manifest(run_id, request.generation_hash)} is missing")
    trained = read_manifest(store, run_id)
    if trained is None and not answered.not_needed:
        raise _unfinished(f"{layout.manifest(run_id)} is missing")
    prepared = open_prepared(store, run_id, work / "prepared")
    items = items_of(prepared.test)
    answers = read_answers(store, answered, work)
    _check_adapter(answered, trained)
    return RunRecord(
        prepared=prepared,
        answered=answered,
        trained=None if answered.not_needed else trained,
        items=items,
        answers=_aligned(answers, items, request),
        forgetting=_read_forgetting(store, answered, work),
        losses=_read_losses(store, trained, work),
    )


def read_answers(store: Store, answered: AnswersManifest, work: Path) -> list[ArmAnswer]:
    """The answers that a manifest vouches for."""
    path = _download(store, answered.run_id, answered.answers, answered.files, work)
    with path.open(encoding="utf-8") as lines:
        return [ArmAnswer.model_validate_json(line) for line in lines if line.strip()]


def items_of(split: PreparedRows) -> list[Item]:
    """The rows of a split, as questions with their answers."""
    return [Item(row.id, row.group, _question(row.prompt), row.reference) for row in split]


def by_arm(answers: Sequence[ArmAnswer]) -> dict[str, dict[str, ArmAnswer]]:
    """Answers by arm and item id; arms in the order they were asked."""
    found: dict[str, dict[str, ArmAnswer]] = {}
    for answer in answers:
        found.setdefault(answer.arm, {})[answer.id] = answer
    return found


def _aligned(
    answers: Sequence[ArmAnswer], items: Sequence[Item], request: StageRequest
) -> dict[str, Answers]:
    """Each arm's answers in the order of the items; every listed arm has answered every item."""
    found = by_arm(answers)
    listed = {arm.name for arm in request.spec.evaluation.arms}
    missing = sorted(listed - found.keys())
    if missing:
        raise _unfinished(f"there are no answers of {', '.join(missing)}")
    return {arm: _in_order(arm, given, items) for arm, given in found.items()}


def _in_order(arm: str, given: Mapping[str, ArmAnswer], items: Sequence[Item]) -> Answers:
    absent = sum(item.id not in given for item in items)
    if absent:
        raise _unfinished(f"{absent} of {len(items)} test items have no answer of {arm}")
    ordered = [given[item.id] for item in items]
    return Answers(
        [one.answer for one in ordered],
        [one.score for one in ordered],
        [one.flags for one in ordered],
    )


def _check_adapter(answered: AnswersManifest, trained: RunManifest | None) -> None:
    if trained is None or answered.not_needed:
        return
    if answered.adapter_digest != trained.adapter_digest:
        raise _unfinished(f"the answers of {TUNED} are another adapter's than the manifest names")


def _question(prompt: Sequence[Message]) -> str:
    """The last thing the user said."""
    said = [message["content"] for message in prompt if message["role"] == "user"]
    return said[-1] if said else ""


def _read_forgetting(
    store: Store, answered: AnswersManifest, work: Path
) -> ForgettingLosses | None:
    if answered.forgetting is None:
        return None
    path = _download(store, answered.run_id, answered.forgetting, answered.files, work)
    return ForgettingLosses.model_validate_json(path.read_bytes())


def _read_losses(store: Store, trained: RunManifest | None, work: Path) -> list[LossPoint]:
    """The loss curve, for the report only: one that can not be read spoils no verdict."""
    name = next((key for key in trained.files if key.endswith(METRICS)), None) if trained else None
    if trained is None or name is None:
        return []
    path = _download(store, trained.run_id, name, trained.files, work)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [LossPoint.model_validate(json.loads(line)) for line in lines if line.strip()]
    except (ValueError, ValidationError):
        return []


def _download(store: Store, run_id: str, name: str, files: Mapping[str, str], work: Path) -> Path:
    if name not in files:
        raise _unfinished(f"its manifest does not vouch for {name}")
    path = work / run_id / name
    path.parent.mkdir(parents=True, exist_ok=True)
    download_checked(store, layout.run(run_id, name), files[name], path)
    return path


def _unfinished(what: str) -> StageError:
    return StageError(
        FailureClass.NOT_FOUND, f"this run has no complete answers to judge: {what}; run train"
    )
