"""The second half of prepare: duplicates, tokens, Autos, the plan, and publishing it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, cast

import numpy as np

from trainer.contract.outcome import Estimate, ResolvedValue
from trainer.contract.spec import RunSpec
from trainer.data import resolve
from trainer.data.chat import load_renderer
from trainer.data.duplicates import find_near, find_overlap, find_repeats
from trainer.data.estimate import answer_count, peak_memory_bytes, step_count
from trainer.data.findings import Findings, count
from trainer.data.plan import PreparedPlan
from trainer.data.publish import publish
from trainer.data.resolve import Choice
from trainer.data.rows import advance_or_stop, invalid_data, is_refused
from trainer.data.split import TRAIN, SplitRule, write_rule
from trainer.data.stage import FirstPass
from trainer.data.tokenise import Rendering, TokenCounts, tokenise
from trainer.sources.base import read_object
from trainer.stage import StageContext
from trainer.store import layout

T = TypeVar("T")

TEMPLATE_DATE = "2024-07-26"
"""What templates take for today; the date that Llama 3's own template falls back to."""


def prepare_rows(ctx: StageContext, first: FirstPass) -> PreparedPlan:
    """Everything from the spool to the published plan.

    Raises:
        StageError: the data is refused.
    """
    findings = find_all(ctx, first)
    check_findings(ctx, first, findings)
    choices = Choices.of(ctx, first, findings.counts)
    plan = make_plan(ctx, first, findings, choices)
    write_rule(ctx.store, choices.frozen(first.rule), first.earlier_rule)
    return publish(ctx.store, first.run_id, plan, findings.intake.problems.errors(), ctx.work)


def find_all(ctx: StageContext, first: FirstPass) -> Findings:
    """Look for duplicates and overlap, then tokenise what remains."""
    spool, advance = first.intake.spool, advance_or_stop(ctx)
    ctx.progress.start("duplicates", count(first.keep))
    near = find_near(spool, first.keep, advance)
    overlap = find_overlap(spool, np.where(first.keep, first.codes, TRAIN), near) & first.keep
    keep = first.keep & ~overlap
    ctx.progress.start("tokenise", count(keep))
    counts = tokenise(
        spool,
        codes=first.codes,
        keep=keep,
        rendering=rendering(ctx, first),
        directory=ctx.work,
        problems=first.intake.problems,
        on_rows=advance,
    )
    return Findings(
        intake=first.intake,
        codes=first.codes,
        keep=first.keep,
        repeats=find_repeats(spool, first.keep),
        near=near,
        overlap=overlap,
        counts=counts,
        labels=first.facts.in_train,
    )


def rendering(ctx: StageContext, first: FirstPass) -> Rendering:
    """How this run turns rows into tokens."""
    spec = ctx.request.spec
    return Rendering(
        renderer=load_renderer(first.base.path, template_date=TEMPLATE_DATE),
        instruction=spec.dataset.instruction or "",
        labels=first.facts.labels,
        train_on=spec.training.train_on,
        max_tokens=spec.training.max_sequence_tokens,
    )


def check_findings(ctx: StageContext, first: FirstPass, findings: Findings) -> None:
    """Refuse data that is wrong, leaks, or leaves nothing to train on."""
    report = findings.report()
    if is_refused(first.intake, ctx.request.spec):
        raise invalid_data(ctx, first.intake, report)
    leak = findings.overlap_error()
    if leak is not None:
        raise invalid_data(ctx, first.intake, report, leak)
    if not report.train_rows:
        message = (
            f"spec.dataset.train: none of {report.rows} rows is left to train on; add rows, or "
            f"lower dataset.split.testPercent and validationPercent"
        )
        raise invalid_data(ctx, first.intake, report, message)


@dataclass(frozen=True)
class Choices:
    """Every data-dependent value, the user's own or Auto's; ``autos`` are the latter."""

    metric: str
    epochs: int
    learning_rate: float
    batch_tokens: int
    few_shot_examples: int
    max_new_tokens: int
    autos: Mapping[str, ResolvedValue]

    @classmethod
    def of(cls, ctx: StageContext, first: FirstPass, counts: TokenCounts) -> "Choices":
        """Resolve them; what the first run of the output froze stays."""
        spec, rule, labels = ctx.request.spec, first.rule, first.facts.labels
        training, evaluation = spec.training, spec.evaluation
        autos: dict[str, ResolvedValue] = {}
        pick = partial(choose, autos)
        note_format(autos, first, spec)
        passes = pick("training.epochs", training.epochs, resolve.epochs(counts.rows["train"]))
        rate = resolve.learning_rate(read_config(first), spec.lora, spec.method)
        batch = resolve.batch_tokens(counts.train_tokens, passes, counts.longest_row)
        return cls(
            metric=pick(
                "evaluation.metric", evaluation.metric, held(rule.metric, first.facts.metric)
            ),
            epochs=passes,
            learning_rate=float(pick("training.learningRate", training.learning_rate, rate)),
            batch_tokens=pick("training.batchTokens", training.batch_tokens, batch),
            few_shot_examples=pick(
                "evaluation.fewShotExamples",
                evaluation.few_shot_examples,
                held(rule.few_shot_examples, resolve.few_shot_examples(labels)),
            ),
            max_new_tokens=pick(
                "evaluation.maxNewTokens",
                evaluation.max_new_tokens,
                held(rule.max_new_tokens, resolve.max_new_tokens(counts.answers)),
            ),
            autos=autos,
        )

    def frozen(self, rule: SplitRule) -> SplitRule:
        """The split rule with the Autos that the first run fixes for all later ones."""
        fields = {
            "metric": ("evaluation.metric", self.metric),
            "max_new_tokens": ("evaluation.maxNewTokens", self.max_new_tokens),
            "few_shot_examples": ("evaluation.fewShotExamples", self.few_shot_examples),
        }
        found = {
            name: value
            for name, (field, value) in fields.items()
            if field in self.autos and getattr(rule, name) is None
        }
        return rule.model_copy(update=found)


def choose(autos: dict[str, ResolvedValue], field: str, asked: T | str, auto: Choice[T]) -> T:
    """The user's value, or Auto's, which is noted."""
    if asked != "Auto":
        return cast("T", asked)
    autos[field] = auto.resolved(field)
    return auto.value


def held(fixed: T | None, fresh: Choice[T]) -> Choice[T]:
    """What the first run of the output fixed, where there was one."""
    if fixed is None:
        return fresh
    return Choice(fixed, f"fixed by the first run of this output ({layout.SPLIT})")


def note_format(autos: dict[str, ResolvedValue], first: FirstPass, spec: RunSpec) -> None:
    """Write down the two Autos that the first pass resolved."""
    if spec.dataset.format == "Auto":
        rule = "the columns of the first 100 rows"
        autos["dataset.format"] = Choice(first.intake.kind, rule).resolved("dataset.format")
    percent = first.rule.test_percent
    if spec.dataset.split.test_percent == "Auto" and spec.dataset.test is None:
        rule = "10, raised to reach 100 test groups, never over 30"
        choice = (
            held(percent, Choice(percent, rule)) if first.earlier_rule else Choice(percent, rule)
        )
        autos["dataset.split.testPercent"] = choice.resolved("dataset.split.testPercent")


def read_config(first: FirstPass) -> Mapping[str, object]:
    """The base model's config.json."""
    return read_object(first.base.path / "config.json")


def make_plan(
    ctx: StageContext, first: FirstPass, findings: Findings, choices: Choices
) -> PreparedPlan:
    """The plan as train and judge will read it."""
    report = findings.report()
    return PreparedPlan(
        format=first.intake.kind,
        metric=choices.metric,
        has_template=bool(first.bound.template_sha256),
        template_date=TEMPLATE_DATE,
        labels=list(first.facts.labels),
        epochs=choices.epochs,
        learning_rate=choices.learning_rate,
        batch_tokens=choices.batch_tokens,
        max_sequence_tokens=ctx.request.spec.training.max_sequence_tokens,
        few_shot_examples=choices.few_shot_examples,
        max_new_tokens=choices.max_new_tokens,
        resolved=list(choices.autos.values()),
        base=first.bound,
        base_license=first.base.license,
        split_digests=first.split_digests,
        dataset_digest=first.dataset_digest,
        generation_hash=ctx.request.generation_hash,
        data=report,
        estimate=estimate(ctx, first, findings.counts, choices),
    )


def estimate(
    ctx: StageContext, first: FirstPass, counts: TokenCounts, choices: Choices
) -> Estimate:
    """What the run will need."""
    spec = ctx.request.spec
    tokens = counts.train_tokens * choices.epochs
    return Estimate(
        train_tokens=tokens,
        steps=step_count(tokens, choices.batch_tokens, spec.training.max_steps),
        answer_count=answer_count([arm.name for arm in spec.evaluation.arms], counts.rows["test"]),
        peak_memory_bytes=peak_memory_bytes(
            first.base.path,
            read_config(first),
            batch_tokens=choices.batch_tokens,
            longest_row=counts.longest_row,
        ),
    )
