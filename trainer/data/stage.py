"""The prepare stage: from the user's files to prepared/, or to everything that is wrong with them.

Two passes over the rows with a spool between them. The run's id needs only the first, so a run
that is there already is recognised without a tokenizer.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trainer.contract.failures import FailureClass
from trainer.contract.outcome import DataReport, Details
from trainer.contract.spec import RunSpec
from trainer.data.answers import AnswerFacts, answer_facts
from trainer.data.duplicates import Mask
from trainer.data.fetch import FETCH, download, find_remote, is_remote
from trainer.data.files import find_files
from trainer.data.intake import Intake, check_stop, drop_repeated_ids, is_chat, take_in
from trainer.data.plan import PreparedPlan
from trainer.data.prepared import split_digest
from trainer.data.problems import MAX_SHOWN
from trainer.data.publish import (
    Finished,
    dataset_digest,
    find_finished,
    find_plan,
    publish_refusal,
    run_id_of,
)
from trainer.data.split import (
    CODES,
    TEST,
    TRAIN,
    Codes,
    SplitRule,
    assign,
    continued,
    make_rule,
    places,
    read_rule,
    salt_of,
)
from trainer.data.spool import as_keys
from trainer.errors import StageError
from trainer.sources.base import ResolvedModel
from trainer.sources.binding import binding
from trainer.sources.resolve import resolve
from trainer.stage import DetailedStageError, StageContext, StageResult, outcome_of
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
    first = read_first(ctx)
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


def read_first(ctx: StageContext) -> FirstPass:
    """Base, rows, splits, id: everything that is decided by the source alone."""
    spec = ctx.request.spec
    remote = find_remote(ctx)
    files = find_files(spec.dataset, file_root=ctx.file_root, remote=remote.files)
    base = resolve_base(ctx)
    bound = binding(base)
    download(ctx, remote)
    ctx.progress.start("read data", sum(file.path.stat().st_size for file in files))
    intake = take_in(
        spec.dataset,
        files,
        ctx.work / "rows.arrow",
        on_bytes=ctx.progress.advance,
        stop=ctx.stop,
    )
    remote.forget()
    if intake.problems.is_fatal or not len(intake.spool):
        raise invalid_data(ctx, intake, DataReport(format=intake.kind, rows=intake.rows))
    check_template(bound, intake)
    keep = drop_repeated_ids(intake, spec.dataset.fields.id)
    earlier = read_rule(ctx.store)
    rule, codes = split_rows(intake, keep, earlier, spec)
    digests = split_digests(intake, keep, codes)
    return FirstPass(
        base=base,
        bound=bound,
        intake=intake,
        keep=keep,
        codes=codes,
        rule=rule,
        earlier_rule=earlier,
        facts=answer_facts(intake.spool, keep, codes),
        split_digests=digests,
        run_id=run_id_of(ctx.request, base.content_digest, digests),
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


def advance_or_stop(ctx: StageContext) -> Callable[[int], None]:
    """Count work done, and end it when the stage was told to stop."""

    def advance(count: int) -> None:
        check_stop(ctx.stop)
        ctx.progress.advance(count)

    return advance


def check_template(bound: BaseBinding, intake: Intake) -> None:
    """Refuse conversations for a model that knows no turns."""
    if is_chat(intake.kind) and not bound.template_sha256:
        message = (
            f"spec.baseModel: {bound.source} has no chat template, which Chat data needs; use an "
            f"instruction-tuned base model, add chat_template.jinja, or give prompt and completion"
        )
        raise StageError(FailureClass.INVALID_SPEC, message)


def split_rows(
    intake: Intake, keep: Mask, earlier: SplitRule | None, spec: RunSpec
) -> tuple[SplitRule, Codes]:
    """The split rule, that of earlier runs where there were any, and the split of each row."""
    groups, given = as_keys(intake.spool.groups), intake.given
    salt = earlier.salt if earlier is not None else salt_of(spec.training.seed)
    at = places(groups, salt)
    own = np.unique(at[keep & (given == TRAIN)])
    fresh = make_rule(spec.dataset, own, salt)
    rule = fresh if earlier is None else continued(earlier, spec.dataset, fresh)
    return rule, assign(at, given, rule, spec.dataset)


def split_digests(intake: Intake, keep: Mask, codes: Codes) -> dict[str, str]:
    """Digest of each split's source rows, before anything is left out for overlap."""
    return {
        name: split_digest(
            intake.spool.digest(row) for row in np.flatnonzero(keep & (codes == code)).tolist()
        )
        for name, code in CODES.items()
    }


def is_refused(intake: Intake, spec: RunSpec) -> bool:
    """Whether more rows are invalid than the spec puts up with."""
    allowed = spec.dataset.max_invalid_percent * intake.rows
    return intake.problems.is_fatal or 100 * len(intake.problems.rows) > allowed


def invalid_data(
    ctx: StageContext, intake: Intake, report: DataReport, message: str = ""
) -> DetailedStageError:
    """The failure, with the first errors attached and all of them in the store."""
    problems = intake.problems
    errors = problems.errors()
    found = {
        "invalid_rows": len(problems.rows),
        "error_count": problems.count,
        "errors": errors[:MAX_SHOWN],
    }
    published = publish_refusal(ctx.store, report.model_copy(update=found), errors)
    return DetailedStageError(
        FailureClass.INVALID_DATA,
        message or refusal(intake, published, ctx.request.spec),
        Details(data=published),
    )


def refusal(intake: Intake, report: DataReport, spec: RunSpec) -> str:
    """One line that says how much is wrong, what comes first and where the rest is."""
    first = report.errors[0]
    field = f" {first.field}:" if first.field.startswith("dataset.") else ""
    errors = "1 error" if report.error_count == 1 else f"{report.error_count} errors"
    rows = f"in {report.invalid_rows} of {intake.rows} rows"
    allowed = f", {spec.dataset.max_invalid_percent} % are allowed" if intake.rows else ""
    more = f"; all of them: {report.report_uri}" if report.error_count > 1 else ""
    return f"spec.dataset: {errors} {rows}{allowed}; {first.place}{field} {first.message}{more}"


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
        outcome, Details(data=plan.data, resolved=plan.resolved, estimate=plan.estimate)
    )
