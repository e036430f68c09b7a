"""Charts as inline SVG: pure functions from numbers to markup, without a script.

Widths are per cent of the page and heights are pixels, so that text and marks keep their size
on a phone. Colours are CSS classes; the style sheet owns both palettes.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from trainer.report.units import finite, number

ROW_PX = 34
AXIS_PX = 26
LOSS_PX = 260
MAX_DRAWN = 500
SCALED = 1000  # units of a line's own coordinate system, stretched to the width of the page
TICKS = 5
MAX_SHOWN = 1e12  # beyond it a value is a fault and would flatten everything else
FLAT = 1e-9
NICE = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Scale:
    """A linear axis from ``low`` to ``high`` with round ticks."""

    low: float
    high: float
    ticks: tuple[float, ...]
    decimals: int

    def share(self, value: float) -> float:
        """Where a value lies, 0 to 1; what lies outside is drawn at the edge."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def percent(self, value: float) -> str:
        """The same as an SVG length."""
        return f"{100 * self.share(value):.2f}%"


@dataclass(frozen=True)
class Whisker:
    """One estimate with its interval."""

    value: float
    low: float
    high: float
    kind: str  # CSS class: tuned, gate, free, passed, missed
    label: str  # what a screen reader says


@dataclass(frozen=True)
class Line:
    """One curve: points in order of x."""

    name: str
    kind: str
    points: Sequence[tuple[float, float]]


def nice_scale(values: Iterable[float], *, smallest_step: float = 0) -> Scale:
    """The shortest axis with about ``TICKS`` round steps that holds every sane value."""
    shown = [value for value in finite(*values) if abs(value) < MAX_SHOWN] or [0.0, 1.0]
    low, high = min(shown), max(shown)
    if high - low <= FLAT * max(1.0, abs(low), abs(high)):
        low, high = low - max(1.0, abs(low)), high + max(1.0, abs(high))
    step = max(smallest_step, _nice_step((high - low) / TICKS))
    first, last = math.floor(low / step), math.ceil(high / step)
    marks = tuple(index * step for index in range(first, last + 1))
    return Scale(marks[0], marks[-1], marks, max(0, -math.floor(math.log10(step))))


def _nice_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next((nice for nice in NICE if nice * power >= rough * 0.999), 10.0) * power


def whisker(row: Whisker, scale: Scale, *, thresholds: Sequence[float] = ()) -> Markup:
    """A dot with its interval on the grid of the axis; a broken line marks each threshold."""
    marks = [_vertical(scale.percent(at), "grid" if at else "grid zero") for at in scale.ticks]
    marks += [_vertical(scale.percent(at), "threshold") for at in finite(*thresholds)]
    if len(finite(row.low, row.high)) == 2:  # noqa: PLR2004 - both ends
        marks.append(_interval(scale.percent(row.low), scale.percent(row.high)))
    if finite(row.value):
        dot = Markup('<circle class="dot" cx="{}" cy="50%" r="6"/>')
        marks.append(dot.format(scale.percent(row.value)))
    return _svg(ROW_PX, f"whisker {row.kind}", row.label, marks)


def _interval(low: str, high: str) -> Markup:
    span = Markup('<line class="span" x1="{}" x2="{}" y1="50%" y2="50%"/>').format(low, high)
    cap = Markup(
        '<rect class="cap" x="{}" y="50%" width="2" height="10" transform="translate(-1 -5)"/>'
    )
    return span + cap.format(low) + cap.format(high)


def axis(scale: Scale) -> Markup:
    """Tick labels of a horizontal axis; its title stands below it in the page."""
    label = Markup('<text class="tick" x="{}" y="18" text-anchor="middle">{}</text>')
    labels = [
        label.format(scale.percent(tick), number(tick, scale.decimals)) for tick in scale.ticks
    ]
    return Markup('<svg class="axis" height="{}" aria-hidden="true">{}</svg>').format(
        AXIS_PX, Markup().join(labels)
    )


def curves(lines: Sequence[Line], x: Scale, y: Scale, label: str, *, mark: float | None) -> Markup:
    """Line chart; ``mark`` draws a vertical line, as at the best step."""
    parts = [_rows(y), _bottom(x)]
    if mark is not None:
        parts.append(_vertical(x.percent(mark), "best", LOSS_PX))
    parts += [_curve(line, x, y) for line in lines]
    parts += [_dots(line, x, y) for line in lines if line.kind == "validation"]
    return _svg(LOSS_PX + AXIS_PX, "curves", label, parts)


def ladder(y: Scale) -> Markup:
    """Tick labels of the vertical axis, in a column of their own."""
    labels = [
        Markup('<text class="tick" x="100%" y="{:.1f}" text-anchor="end">{}</text>').format(
            _height(tick, y) + 4, number(tick, y.decimals)
        )
        for tick in y.ticks
    ]
    return Markup('<svg class="ladder" height="{}" aria-hidden="true">{}</svg>').format(
        LOSS_PX + AXIS_PX, Markup().join(labels)
    )


def thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """At most ``MAX_DRAWN`` of the points, evenly chosen, the last one always."""
    stride = math.ceil(len(points) / MAX_DRAWN) or 1
    return [*points[:-1:stride], *points[-1:]]


def _curve(line: Line, x: Scale, y: Scale) -> Markup:
    path = " ".join(
        f"{SCALED * x.share(at):.1f},{_height(value, y):.1f}" for at, value in thinned(line.points)
    )
    return Markup(
        '<svg width="100%" height="{h}" viewBox="0 0 {w} {h}" preserveAspectRatio="none">'
        '<polyline class="curve {}" points="{}"/></svg>'
    ).format(line.kind, path, h=LOSS_PX, w=SCALED)


def _dots(line: Line, x: Scale, y: Scale) -> Markup:
    dot = Markup('<circle class="dot {}" cx="{}" cy="{:.1f}" r="4"/>')
    return Markup().join(
        dot.format(line.kind, x.percent(at), _height(value, y))
        for at, value in thinned(line.points)
    )


def _height(value: float, y: Scale) -> float:
    return LOSS_PX * (1 - y.share(value))


def _rows(y: Scale) -> Markup:
    row = Markup('<line class="grid" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>')
    return Markup().join(row.format(y=_height(tick, y)) for tick in y.ticks)


def _bottom(x: Scale) -> Markup:
    label = Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>')
    return Markup().join(
        label.format(x.percent(tick), LOSS_PX + 20, number(tick, x.decimals)) for tick in x.ticks
    )


def _vertical(x: str, kind: str, height: int | str = "100%") -> Markup:
    line = Markup('<line class="{}" x1="{x}" x2="{x}" y1="0" y2="{}"/>')
    return line.format(kind, height, x=x)


def _svg(height: int, kind: str, label: str, parts: Iterable[Markup]) -> Markup:
    return Markup('<svg class="{}" height="{}" role="img" aria-label="{}">{}</svg>').format(
        kind, height, label, Markup().join(parts)
    )
