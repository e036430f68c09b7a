"""Two runs side by side: scores, answers that changed, spec, data and base model."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.contract.lineage import (
    ArmPair,
    Diff,
    DiffSide,
    HistoryRun,
)
from trainer.data.prepared import open_prepared
from trainer.errors import StageError
from trainer.judge.reading import by_arm, items_of, read_answers
from trainer.lineage.changes import Answered, changes, paired
from trainer.lineage.differences import base_differences, data_differences, spec_differences
from trainer.lineage.history import Known, told_run
from trainer.lineage.pointer import read_pointer
from trainer.lineage.record import RunRecord, read_record
from trainer.lineage.target import one_run, run_uri
from trainer.store.base import Store
from trainer.store.manifest import TUNED, AnswersManifest
from trainer.store.removed import removed_by

GRADER = "evaluation.grader"
"""Fields of a spec: the program that scores, where no metric of ours does."""


@dataclass(frozen=True)
class Side:
    """One of the two runs, where it lies."""

    store: Store
    record: RunRecord

    def told(self) -> DiffSide:
        """As the history tells it, but for its place in it."""
        pointer, _ = read_pointer(self.store)
        moves = pointer.history if pointer else []
        known = Known({}, moves, pointer.run_id if pointer else "")
        lineage, reports = self.record.lineage, self.record.reports
        number = lineage.run if lineage else min((one.run for one in reports), default=0)
        run = told_run(self.record, known, number=number or None, causes=[])
        return DiffSide(uri=run_uri(self.store, self.record.id), run=run)


def side(store: Store, prefix: str) -> Side:
    """The one run whose id starts so.

    Raises:
        StageError: there is none, or more than one; or the store cannot be read.
    """
    [(run_id, files)] = one_run(store, prefix).items()
    return Side(store, read_record(store, run_id, files))


def diff(a: Side, b: Side) -> Diff:
    """Everything that differs, and what could not be compared.

    Raises:
        StageError: a store cannot be reached.
    """
    left, right = a.told(), b.told()
    notes = [*a.record.problems, *b.record.problems, *_removals(a, b)]
    ours, theirs = (_answered(each, notes) for each in _same_settings(a, b, notes))
    spec, spec_note = spec_differences(a.record, b.record)
    found = Diff(
        a=left,
        b=right,
        arms=arm_pairs(left.run, right.run),
        spec=spec,
        data=data_differences(a.record, b.record),
        base=base_differences(a.record, b.record),
        notes=[*notes, *([spec_note] if spec_note else [])],
    )
    return _compared(found, ours, theirs) if ours and theirs else found


def _removals(*sides: Side) -> list[str]:
    stones = [(side.record.id, side.record.removed) for side in sides]
    return [f"Run {run_id}: {removed_by(stone)}." for run_id, stone in stones if stone is not None]


def _compared(found: Diff, a: Answered, b: Answered) -> Diff:
    scored = _scored_apart(found)
    if scored:
        note = f"The two runs were scored by different {scored}, so answers are not compared."
        return found.model_copy(update={"notes": [*found.notes, note]})
    changed = changes(a, b)
    update: dict[str, object] = {"changes": changed, "tuned": paired(a, b)}
    if not changed.shared:
        note = "The two runs were tested on different rows, so answers are not compared."
        update = {"changes": changed, "notes": [*found.notes, note]}
    return found.model_copy(update=update)


def _scored_apart(found: Diff) -> str:
    """What makes the scores of two runs different things; empty: nothing that is recorded."""
    if found.a.run.metric != found.b.run.metric:
        return "metrics"
    graded = any(each.field.startswith(GRADER) for each in found.spec)
    return "graders" if graded else ""


def arm_pairs(a: HistoryRun, b: HistoryRun) -> list[ArmPair]:
    """Every arm of either run, in the order of the first that has it."""
    ours, theirs = ({arm.name: arm for arm in run.arms} for run in (a, b))
    names = dict.fromkeys([*ours, *theirs])
    ordered = [*(name for name in names if name != TUNED), *(n for n in names if n == TUNED)]
    return [ArmPair(name=name, a=ours.get(name), b=theirs.get(name)) for name in ordered]


Chosen = tuple[Side, AnswersManifest | None]


def _same_settings(a: Side, b: Side, notes: list[str]) -> Sequence[Chosen]:
    """The answers to compare: under the same settings where there are such, else the newest."""
    ours, theirs = _tuned(a.record), _tuned(b.record)
    shared = [one for one in ours if one.generation_hash in {two.generation_hash for two in theirs}]
    if shared:
        wanted = shared[-1].generation_hash
        mine, other = shared[-1], next(two for two in theirs if two.generation_hash == wanted)
        return (a, mine), (b, other)
    if ours and theirs:
        notes.append("The two runs answered under different settings (metric, prompts, arms).")
    return (a, ours[-1] if ours else None), (b, theirs[-1] if theirs else None)


def _tuned(record: RunRecord) -> list[AnswersManifest]:
    """Answers of a tuned model, oldest first as far as that is recorded."""
    with_adapter = [each for each in record.answers if each.adapter_digest is not None]
    return sorted(with_adapter, key=lambda one: one.lineage.created if one.lineage else "")


def _answered(chosen: Chosen, notes: list[str]) -> Answered | None:
    """The tuned answers with the items that they are to; None, and a note: they cannot be had."""
    where, manifest = chosen
    if manifest is None:
        notes.append(f"Run {where.record.id} has no answers of a tuned model.")
        return None
    with tempfile.TemporaryDirectory(prefix="tunekeeper-") as scratch:
        try:
            items = items_of(open_prepared(where.store, where.record.id, Path(scratch)).test)
            answers = by_arm(read_answers(where.store, manifest, Path(scratch)))
        except (StageError, ValueError) as error:
            told = error.message if isinstance(error, StageError) else "is not what was written"
            notes.append(f"The answers of run {where.record.id} cannot be compared: {told}.")
            return None
    return Answered.of(items, answers.get(TUNED, {}))
