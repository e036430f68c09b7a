"""The rows of a job as its files have them: read, split and digested, without any base model."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trainer.contract.failures import FailureClass
from trainer.contract.outcome import DataReport, Details
from trainer.contract.spec import RunSpec
from trainer.data.duplicates import Mask
from trainer.data.fetch import RemoteData, download, find_remote
from trainer.data.files import SourceFile, find_files
from trainer.data.intake import Intake, check_stop, drop_repeated_ids, take_in
from trainer.data.inuse import in_use
from trainer.data.prepared import split_digest
from trainer.data.problems import MAX_SHOWN
from trainer.data.publish import publish_refusal
from trainer.data.split import (
    CODES,
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
from trainer.stage import DetailedStageError, StageContext


@dataclass(frozen=True)
class Source:
    """Where the rows are: found before anything long begins."""

    remote: RemoteData
    files: list[SourceFile]


@dataclass(frozen=True)
class Rows:
    """What is known of them before a base model is needed."""

    intake: Intake
    keep: Mask
    codes: Codes
    rule: SplitRule
    earlier_rule: SplitRule | None
    split_digests: dict[str, str]


def find_source(ctx: StageContext) -> Source:
    """The files that the spec names, here and remote."""
    dataset, remote = ctx.request.spec.dataset, find_remote(ctx)
    return Source(remote, find_files(dataset, file_root=ctx.file_root, remote=remote.files))


def read_rows(ctx: StageContext, source: Source) -> Rows:
    """Take all of it in.

    Raises:
        StageError: with the data report attached where the data is the reason.
    """
    spec = ctx.request.spec
    download(ctx, source.remote)
    ctx.progress.start("read data", sum(file.path.stat().st_size for file in source.files))
    intake = take_in(
        spec.dataset,
        source.files,
        ctx.work / "rows.arrow",
        on_bytes=ctx.progress.advance,
        stop=ctx.stop,
    )
    source.remote.forget()
    if intake.problems.is_fatal or not len(intake.spool):
        raise invalid_data(ctx, intake, DataReport(format=intake.kind, rows=intake.rows))
    keep = drop_repeated_ids(intake, spec.dataset.fields.id)
    earlier = read_rule(ctx.store)
    rule, codes = split_rows(intake, keep, earlier, spec)
    return Rows(intake, keep, codes, rule, earlier, split_digests(intake, keep, codes))


def advance_or_stop(ctx: StageContext) -> Callable[[int], None]:
    """Count work done, and end it when the stage was told to stop."""

    def advance(count: int) -> None:
        check_stop(ctx.stop)
        ctx.progress.advance(count)

    return advance


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
    digests = intake.spool.digest_table()
    return {name: split_digest(digests[keep & (codes == code)]) for name, code in CODES.items()}


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
        Details(data=published, promoted=in_use(ctx.store)),
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
