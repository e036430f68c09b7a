"""The charts of a report: which numbers go on which axis, and what a listener hears."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from markupsafe import Markup

from trainer.contract.verdict import ArmScore, Comparison, Judgement, OverfittingResult
from trainer.report.charts import Line, Scale, Whisker, curves, ladder, nice_scale, whisker
from trainer.report.model import LossPoint
from trainer.report.names import arm_kind, arm_name
from trainer.report.units import count, finite, nats, percent, points

Row = TypeVar("Row")
Point = tuple[float, float]


@dataclass(frozen=True)
class Drawn(Generic[Row]):
    """The rows of a chart, each with its drawing, on one axis."""

    rows: Sequence[tuple[Row, Markup]]
    scale: Scale
    title: str
    uneven: bool = False  # the rows stand on different numbers of items


@dataclass(frozen=True)
class LossChart:
    """Loss curves, and what of them is told as text."""

    drawing: Markup
    ladder: Markup
    has_train: bool
    evaluations: Sequence[tuple[int, float]]
    best_step: int | None


def score_chart(judgement: Judgement) -> Drawn[ArmScore]:
    """Every arm's score with its interval, from zero."""
    arms = judgement.arms
    ends = [at for arm in arms for at in (arm.score, arm.ci_low, arm.ci_high)]
    scale = nice_scale([0.0, *_hundredfold(*ends)])
    rows = [(arm, whisker(_score(arm), scale)) for arm in arms]
    uneven = len({arm.n for arm in arms}) > 1
    return Drawn(rows, scale, f"{judgement.metric} score on {_items(arms)}, %", uneven)


def difference_chart(judgement: Judgement) -> Drawn[Comparison]:
    """Tuned minus each arm with its interval, and the line that the interval must clear."""
    compared = judgement.comparisons
    ends = [at for row in compared for at in (row.delta, row.ci_low, row.ci_high, row.threshold)]
    scale = nice_scale([0.0, *_hundredfold(*ends)])
    rows = [
        (row, whisker(_difference(row), scale, thresholds=_hundredfold(row.threshold)))
        for row in compared
    ]
    return Drawn(rows, scale, "Score of the tuned model minus the arm's, percentage points")


def loss_chart(losses: Sequence[LossPoint], fit: OverfittingResult | None) -> LossChart | None:
    """Training and validation loss over optimizer steps; None when there is nothing to draw."""
    train = [(float(at.step), at.train_loss) for at in losses if finite(at.train_loss)]
    validation = [(float(at.step), at.eval_loss) for at in losses if finite(at.eval_loss)]
    lines = [_line("training", train), _line("validation", validation)]
    drawn = [point for line in lines for point in line.points]
    if not drawn:
        return None
    best = fit.best_step if fit is not None and fit.best_step > 0 else None
    x = nice_scale([0.0, *(at for at, _ in drawn)], smallest_step=1)
    y = nice_scale(_from_zero_if_near([value for _, value in drawn]))
    return LossChart(
        drawing=curves(lines, x, y, _told(lines, best), mark=best),
        ladder=ladder(y),
        has_train=bool(train),
        evaluations=[(int(at), value) for at, value in lines[1].points],
        best_step=best,
    )


def _line(name: str, points_: Sequence[tuple[float, float | None]]) -> Line:
    ordered = sorted((at, value) for at, value in points_ if value is not None)
    return Line(name, name, ordered)


def _from_zero_if_near(values: Sequence[float]) -> list[float]:
    """Include zero unless that would squeeze the curve into the upper half."""
    lowest, highest = min(values), max(values)
    return [lowest, highest, *([0.0] if 0 <= lowest < highest / 2 else [])]


def _told(lines: Sequence[Line], best: int | None) -> str:
    ends = [
        f"{line.name} from {nats(line.points[0][1])} at step {line.points[0][0]:,.0f} "
        f"to {nats(line.points[-1][1])} at step {line.points[-1][0]:,.0f}"
        for line in lines
        if line.points
    ]
    told = "Cross-entropy per supervised token: " + "; ".join(ends)
    return told if best is None else f"{told}; best adapter at step {best:,}"


def _score(arm: ArmScore) -> Whisker:
    label = (
        f"{arm_name(arm.name)}: {percent(arm.score)}, "
        f"interval {percent(arm.ci_low)} to {percent(arm.ci_high)}"
    )
    return Whisker(
        value=100 * arm.score,
        low=100 * arm.ci_low,
        high=100 * arm.ci_high,
        kind=arm_kind(arm),
        label=label,
    )


def _difference(row: Comparison) -> Whisker:
    label = (
        f"Tuned minus {arm_name(row.arm)}: {points(row.delta)}, interval "
        f"{points(row.ci_low)} to {points(row.ci_high)}, threshold {points(row.threshold)}"
    )
    return Whisker(
        value=100 * row.delta,
        low=100 * row.ci_low,
        high=100 * row.ci_high,
        kind="passed" if row.passed else "missed",
        label=label,
    )


def _hundredfold(*shares: float) -> list[float]:
    return finite(*(100 * share for share in shares))


def _items(arms: Sequence[ArmScore]) -> str:
    sizes = [arm.n for arm in arms] or [0]
    least, most = min(sizes), max(sizes)
    return count(most, "test items") if least == most else f"{least:,} to {most:,} test items"
