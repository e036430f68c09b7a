"""One run as it lies in the store, whatever release wrote it and however far it came.

What cannot be read is told and never fatal: a history with one damaged run is still a history.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from trainer.contract.lineage import RunState
from trainer.contract.outcome import Cost
from trainer.contract.verdict import Judgement
from trainer.data.plan import PreparedPlan
from trainer.store import layout
from trainer.store.base import MissingError, Store
from trainer.store.checked import unreadable
from trainer.store.manifest import AnswersManifest, BaseBinding, Lineage, RunManifest
from trainer.store.removed import REMOVED, Removed, is_removed

ANSWERS = re.compile(r"^generations/[0-9a-f]+\.json$")
VERDICT = re.compile(r"^evaluations/([^/]+)/verdict\.json$")

Document = TypeVar("Document", bound=BaseModel)


class Loose(BaseModel):
    """A part of a document; what else is in it is ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")


class ReportHead(Loose):
    """What a history needs of a report.json, which may be large."""

    evaluation_id: str = ""
    created: str = ""
    run: int = 0
    judgement: Judgement
    cost: Cost | None = None


class ClaimHead(Loose):
    """What claim.json says of the attempt that took it last."""

    run: int | None = None


@dataclass
class RunRecord:
    """Everything that was found of a run."""

    id: str
    files: Mapping[str, int]
    plan: PreparedPlan | None = None
    manifest: RunManifest | None = None
    answers: list[AnswersManifest] = field(default_factory=list)
    reports: list[ReportHead] = field(default_factory=list)
    claim: ClaimHead | None = None
    removed: Removed | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def lineage(self) -> Lineage | None:
        """The record of the training; where nothing was trained, that of the answers."""
        written = [self.manifest, *sorted(self.answers, key=_written), self.removed]
        return next((each.lineage for each in written if each and each.lineage), None)

    @property
    def base(self) -> BaseBinding | None:
        """The base model, by the manifest or by the plan."""
        if self.removed is not None:
            return self.removed.base
        if self.manifest is not None:
            return self.manifest.base
        return self.plan.base if self.plan is not None else None

    @property
    def report(self) -> ReportHead | None:
        """The newest judgement."""
        return max(self.reports, key=lambda one: one.created, default=None)

    @property
    def state(self) -> RunState:
        """How far the run came."""
        if self.removed is not None:
            return "Removed"
        if self.reports:
            return "Judged"
        if self.answers:
            return "Answered"
        if self.manifest is not None:
            return "Trained"
        return "Prepared" if self.plan is not None else "Begun"


def _written(answers: AnswersManifest) -> str:
    return answers.lineage.created if answers.lineage else ""


def read_record(store: Store, run_id: str, files: Mapping[str, int]) -> RunRecord:
    """Read what the run left, its reports included.

    Raises:
        StageError: the store cannot be read.
    """
    record = read_manifests(store, run_id, files)
    if record.removed is not None:
        return record
    for name in sorted(files):
        judged = VERDICT.match(name)
        report = f"evaluations/{judged[1]}/report.json" if judged else ""
        if report in files:
            head = parsed(store, record, report, ReportHead)
            record.reports += [head] if head is not None else []
    record.claim = parsed(store, record, "claim.json", ClaimHead)
    return record


def read_manifests(store: Store, run_id: str, files: Mapping[str, int]) -> RunRecord:
    """Read the run's plan and manifests only."""
    record = RunRecord(run_id, files)
    if is_removed(files):  # what is left beside the stone is rubbish
        record.removed = parsed(store, record, REMOVED, Removed)
        return record
    record.plan = parsed(store, record, "prepared/plan.json", PreparedPlan)
    record.manifest = parsed(store, record, "manifest.json", RunManifest)
    found = (
        parsed(store, record, name, AnswersManifest) for name in sorted(files) if is_answers(name)
    )
    record.answers = [each for each in found if each is not None]
    return record


def is_answers(name: str) -> bool:
    """Whether a key is that of an answers manifest."""
    return ANSWERS.match(name) is not None


def parsed(store: Store, record: RunRecord, name: str, kind: type[Document]) -> Document | None:
    """A document of the run; None: there is none, or, as the problems then say, no readable one."""
    if name not in record.files:
        return None
    key = layout.run(record.id, name)
    try:
        return kind.model_validate_json(store.read(key))
    except MissingError:
        record.problems.append(f"{key}: went away while it was read")
    except ValidationError as error:
        record.problems.append(f"{key}: {unreadable(error)}")
    return None
