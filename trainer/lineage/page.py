"""history.html: the story of an output as one page that needs no network and no script.

In the report's style, with its style sheet and charts. Everything shown may be hostile, so the
template escapes all of it and the page forbids itself to load or run anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Template
from markupsafe import Markup

from trainer.contract.lineage import History, HistoryRun
from trainer.contract.verdict import ArmScore, Verdict
from trainer.judge.gate import FREE_ARMS
from trainer.lineage import story
from trainer.report import charts
from trainer.report.charts import Scale, Whisker, nice_scale, whisker
from trainer.report.html import templates
from trainer.report.names import VERDICTS, arm_name
from trainer.report.units import finite, percent, percentage
from trainer.store.manifest import TUNED

MAX_ROWS = 200
"""Newest runs on the page; a program reads the others from the document."""

KINDS = {Verdict.PROMOTE: "passed", Verdict.REJECT: "missed"}


@dataclass(frozen=True)
class Row:
    """One run of the chart; without scores there is nothing to draw."""

    run: HistoryRun
    tuned: ArmScore | None
    base: ArmScore | None
    drawing: Markup


def render(history: History) -> str:
    """The whole page."""
    shown = history.runs[-MAX_ROWS:]
    scale = _scale(shown)
    return _page().render(
        history=history,
        left_out=len(history.runs) - len(shown),
        rows=[_row(run, scale) for run in reversed(shown)],
        scale=scale,
        metric=", ".join(dict.fromkeys(run.metric for run in shown if run.metric)),
        chapters=story.chapters(shown),
        reasons=story.reasons(history.runs),
        moves=story.moves(history),
        summary=story.summary(history),
        spent=story.spent(history.runs),
        gpu_seconds=story.gpu_seconds(history.runs),
        axis=charts.axis,
        verdicts=VERDICTS,
        states=story.STATES,
    )


def _scale(runs: Sequence[HistoryRun]) -> Scale:
    arms = [arm for run in runs for arm in (tuned_of(run), base_of(run)) if arm]
    ends = [end for arm in arms for end in (arm.score, arm.ci_low, arm.ci_high)]
    return nice_scale([0.0, *finite(*(100 * end for end in ends))])


def _row(run: HistoryRun, scale: Scale) -> Row:
    tuned, base = tuned_of(run), base_of(run)
    drawing = _drawing(run, tuned, base, scale) if tuned or base else Markup("")
    return Row(run, tuned, base, drawing)


def _drawing(
    run: HistoryRun, tuned: ArmScore | None, base: ArmScore | None, scale: Scale
) -> Markup:
    lines = finite(100 * base.score) if base else []
    if tuned is None:
        nothing = float("nan")
        label = f"{story.called(run)}: nothing was trained"
        return whisker(Whisker(nothing, nothing, nothing, "other", label), scale, thresholds=lines)
    label = (
        f"{story.called(run)}: {percent(tuned.score)}, interval {percentage(tuned.ci_low)} to "
        f"{percent(tuned.ci_high)}"
    )
    kind = "tuned" if run.promoted else KINDS.get(run.verdict, "free") if run.verdict else "free"
    value, low, high = 100 * tuned.score, 100 * tuned.ci_low, 100 * tuned.ci_high
    return whisker(Whisker(value, low, high, kind, label), scale, thresholds=lines)


def tuned_of(run: HistoryRun) -> ArmScore | None:
    """The tuned model's score."""
    return next((arm for arm in run.arms if arm.name == TUNED), None)


def base_of(run: HistoryRun) -> ArmScore | None:
    """The best that the base model does untuned, among the arms that tuning had to meet."""
    arms = [arm for arm in run.arms if arm.name not in (TUNED, *FREE_ARMS)]
    return max(arms, key=lambda arm: arm.score, default=None)


@cache
def _page() -> Template:
    environment = templates(Path(__file__).parent)
    environment.filters |= {
        "called": story.called,
        "short": story.short,
        "arm_name": arm_name,
        "base_changes": lambda new, old: story.base_changes(old, new),
    }
    return environment.get_template("history.html.j2")
