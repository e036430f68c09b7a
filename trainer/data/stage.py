"""The prepare stage: from the user's files to prepared/, or to everything that is wrong with them.

Two passes over the rows with a spool between them. The run's id needs only the first, so a run
that is there already is recognised without a tokenizer.
"""

from dataclasses import dataclass

import numpy as np

from trainer.contract.failures import FailureClass
from trainer.contract.outcome import Details
from trainer.contract.spec import RunSpec
from trainer.data.answers import AnswerFacts, answer_facts
from trainer.data.duplicates import Mask
from trainer.data.fetch import FETCH, is_remote
from trainer.data.intake import Intake, is_chat
from trainer.data.inuse import in_use, read_promoted
from trainer.data.kept import find_kept
from trainer.data.plan import PreparedPlan
from trainer.data.publish import (
    Finished,
    dataset_digest,
    find_finished,
    find_plan,
    run_id_of,
)
from trainer.data.rows import Rows, Source, advance_or_stop, find_source, is_refused, read_rows
from trainer.data.split import TEST, Codes, SplitRule
from trainer.data.spool import as_keys
from trainer.errors import StageError
from trainer.sources.base import ResolvedModel
from trainer.sources.binding import binding
from trainer.sources.resolve import resolve
from trainer.stage import StageContext, StageResult, outcome_of
from trainer.store.fence import take_owner
from trainer.store.manifest import BaseBinding

BASE = "hash base"

PARTS = [
    (BASE, "bytes", 1.0),
    (FETCH, "bytes", 1.0),
    ("read data", "bytes", 1.0),
    ("duplicates", "rows", 2.0),
    ("tokenise", "rows", 4.0),
]


@dataclass(frozen=True)
class FirstPass:
    """What is known before a tokenizer is needed."""

    base: ResolvedModel
    bound: BaseBinding
    intake: Intake
    keep: Mask
    codes: Codes
    rule: SplitRule
    earlier_rule: SplitRule | None
    facts: AnswerFacts
    split_digests: dict[str, str]
    run_id: str

    @property
    def dataset_digest(self) -> str:
        """Of all splits."""
        return dataset_digest(self.split_digests)


def prepare(ctx: StageContext) -> StageResult:
    """Validate, split, tokenise and publish; or find that it has all been done.

    Raises:
        StageError: with the data report attached where the data is the reason.
    """
    spec = ctx.request.spec
    refuse_unsupported(spec)
    ctx.progress.plan([part for part in PARTS if part[0] != FETCH or is_remote(spec.dataset)])
    take_owner(ctx.store, ctx.request.job)
    source = find_source(ctx)
    promoted = read_promoted(ctx.store)
    rows = read_rows(ctx, source) if ctx.request.keep_promoted_base and promoted else None
    kept = find_kept(ctx, rows, promoted) if rows and promoted else None
    if kept is not None:
        return kept
    first = read_first(ctx, source, rows)
    if not is_refused(first.intake, spec):
        finished = find_finished(ctx.store, first.run_id, ctx.request)
        plan = find_plan(ctx.store, first.run_id, first.dataset_digest, ctx.request.generation_hash)
        if plan is not None:
            if not (finished.generated or finished.trained):
                check_gate(plan.data.test_groups, plan.data.test_rows, plan.metric, spec)
            return result_of(ctx, first, finished, plan)
        check_first_gate(first, spec)
    from trainer.data.second import prepare_rows  # noqa: PLC0415 - 2 s of imports: transformers

    plan = prepare_rows(ctx, first)
    return result_of(ctx, first, find_finished(ctx.store, first.run_id, ctx.request), plan)


def refuse_unsupported(spec: RunSpec) -> None:
    """Refuse by name what a later release will do."""
    for field, value, only in (
        ("spec.method", spec.method, "SFT"),
        ("spec.quantization", spec.quantization, "None"),
    ):
        if value != only:
            message = f"{field}: {value} is not supported yet; use {only}"
            raise StageError(FailureClass.INVALID_SPEC, message)


def read_first(ctx: StageContext, source: Source, rows: Rows | None = None) -> FirstPass:
    """Base, rows, splits, id: everything that is decided by the source alone."""
    base = resolve_base(ctx)
    bound = binding(base)
    rows = rows or read_rows(ctx, source)
    check_template(bound, rows.intake)
    return FirstPass(
        base=base,
        bound=bound,
        intake=rows.intake,
        keep=rows.keep,
        codes=rows.codes,
        rule=rows.rule,
        earlier_rule=rows.earlier_rule,
        facts=answer_facts(rows.intake.spool, rows.keep, rows.codes),
        split_digests=rows.split_digests,
        run_id=run_id_of(ctx.request, base.content_digest, rows.split_digests),
    )


def resolve_base(ctx: StageContext) -> ResolvedModel:
    """The base model's identity, tokenizer and template, under a progress bar."""
    return resolve(
        ctx.request.spec.base_model,
        cache=ctx.cache,
        file_root=ctx.file_root,
        secrets=ctx.secrets,
        weights=False,
        on_size=lambda total: ctx.progress.start(BASE, total),
        on_bytes=advance_or_stop(ctx),
        stop=ctx.stop,
    )


def check_template(bound: BaseBinding, intake: Intake) -> None:
    """Refuse conversations for a model that knows no turns."""
    if is_chat(intake.kind) and not bound.template_sha256:
        message = (
            f"spec.baseModel: {bound.source} has no chat template, which Chat data needs; use an "
            f"instruction-tuned base model, add chat_template.jinja, or give prompt and completion"
        )
        raise StageError(FailureClass.INVALID_SPEC, message)


def check_first_gate(first: FirstPass, spec: RunSpec) -> None:
    """Ask before the expensive part whether the test split could decide anything."""
    tested = first.keep & (first.codes == TEST)
    groups = len(np.unique(as_keys(first.intake.spool.groups)[tested]))
    metric = first.rule.metric or first.facts.metric.value
    wanted = spec.evaluation.metric
    check_gate(groups, int(np.count_nonzero(tested)), metric if wanted == "Auto" else wanted, spec)


def check_gate(groups: int, rows: int, metric: str, spec: RunSpec) -> None:
    """Refuse a test split on which nothing could ever pass.

    Raises:
        StageError: TestTooSmall.
    """
    from trainer.judge.gate import can_decide  # noqa: PLC0415 - half a second of scipy

    message = can_decide(
        groups,
        spec.evaluation,
        binary=metric in ("ExactMatch", "JsonMatch"),
        clustered=rows > groups,
    )
    if message is not None:
        raise StageError(FailureClass.TEST_TOO_SMALL, f"spec.dataset: {message}")


def result_of(
    ctx: StageContext, first: FirstPass, finished: Finished, plan: PreparedPlan
) -> StageResult:
    """The stage's last word."""
    ctx.progress.finish()
    outcome = outcome_of(
        ctx.request,
        run_id=first.run_id,
        base_revision=first.base.revision,
        base_digest=first.base.content_digest,
        dataset_digest=plan.dataset_digest,
        adapter_digest=finished.adapter_digest,
        trained=finished.trained,
        generated=finished.generated,
        not_needed=finished.not_needed,
    )
    return StageResult(
        outcome,
        Details(
            data=plan.data,
            resolved=plan.resolved,
            estimate=plan.estimate,
            promoted=in_use(ctx.store),
        ),
    )
