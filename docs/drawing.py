"""Panels of a dashboard as HTML and SVG, from what Prometheus answered to their queries.

Pure: knows no server and no file. Draws what the dashboards here use of Grafana's panels, and
nothing else; an option that it does not know is left out, as a label of a picture would be.
"""
# ruff: noqa: INP001 - beside a script, not in a package

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from math import ceil, floor, isfinite, log10
from typing import Any

Panel = Mapping[str, Any]
Labels = Mapping[str, str]
Point = tuple[float, float]

PALETTE = ("#3871dc", "#e0752d", "#56a64b", "#a352cc", "#e02f44", "#1f9e9e", "#b8860b", "#888888")
NAMED = {
    "green": "#37872d",
    "red": "#c4162a",
    "orange": "#e0752d",
    "yellow": "#b8860b",
    "blue": "#1f60c4",
    "text": "#555555",
}
INK, GRID = "#1f2430", "#e3e5ea"
LEFT, BOTTOM, TOP = 92, 34, 6
GAP_S = 5.0
"""Without a value for so long a line is interrupted; it is scraped each second."""
CELL_W, CELL_H = 58, 33
LABEL_W = 40
THOUSAND = 1000
SIZES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Line:
    """One series of one query."""

    name: str
    labels: Labels
    points: Sequence[Point]
    ref: str = "A"


def told(value: float, defaults: Mapping[str, Any]) -> str:
    """A number in the panel's unit."""
    unit, decimals = defaults.get("unit", ""), defaults.get("decimals")
    if unit in MADE:
        return MADE[unit](value)
    scale, suffix = SUFFIXED.get(unit, (1.0, ""))
    if unit.startswith("suffix:"):
        suffix = f" {unit.removeprefix('suffix:').strip()}"
    return f"{number(scale * value, decimals)}{suffix}"


def number(value: float, decimals: int | None) -> str:
    """Short, with as many digits as tell something."""
    for size, sign in SIZES:
        if abs(value) >= size * 10:
            return f"{value / size:.1f} {sign}"
    if decimals is not None or abs(value) >= THOUSAND:
        return f"{value:,.{decimals or 0}f}"
    return f"{value:.3g}"


def seconds(value: float) -> str:
    """As people say it."""
    if 0 < abs(value) < 1:
        return f"{value * 1000:.3g} ms"
    if abs(value) < 120:  # noqa: PLR2004 - two minutes
        return f"{value:.3g} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


MADE: Mapping[str, Callable[[float], str]] = {
    "s": seconds,
    "dtdurations": seconds,
    "bytes": lambda value: f"{value / 2**20:,.0f} MiB",
    "mbytes": lambda value: f"{value / 2**10:,.1f} GiB",
    "sci": lambda value: f"{value:.1e}",
}
SUFFIXED = {
    "percent": (1.0, " %"),
    "percentunit": (100.0, " %"),
    "watt": (1.0, " W"),
    "ops": (1.0, "/s"),
    "reqps": (1.0, "/s"),
}


def colour_of(panel: Panel, line: Line, place: int) -> str:
    """By an override of that name, else the next one."""
    for override in overrides_of(panel, line.name):
        for each in override["properties"]:
            if each["id"] == "color":
                return NAMED.get(each["value"]["fixedColor"], INK)
    return PALETTE[place % len(PALETTE)]


def colour_of_state(panel: Panel, line: Line) -> str:
    """Of its value 1, by an override of that name, else by the panel's own mapping."""
    mapping = panel["fieldConfig"]["defaults"]["mappings"][0]
    for override in overrides_of(panel, line.name):
        mapping = next(
            (p["value"][0] for p in override["properties"] if p["id"] == "mappings"), mapping
        )
    return NAMED[mapping["options"]["1"]["color"]]


def overrides_of(panel: Panel, name: str) -> Iterable[Mapping[str, Any]]:
    """Those that are meant for a name."""
    for override in panel["fieldConfig"]["overrides"]:
        matcher = override["matcher"]
        is_regex = matcher["id"] == "byRegexp"
        wanted = matcher["options"].strip("/") if is_regex else matcher["options"]
        if re.search(wanted, name) if is_regex else wanted == name:
            yield override


def custom_of(panel: Panel, name: str) -> dict[str, Any]:
    """How a line is drawn."""
    found = dict(panel["fieldConfig"]["defaults"].get("custom", {}))
    for override in overrides_of(panel, name):
        for each in override["properties"]:
            found[each["id"].removeprefix("custom.")] = each["value"]
    return found


def drawn(panel: Panel, lines: Sequence[Line], start_s: float, end_s: float) -> str:
    """The body of a panel, as HTML."""
    lines = [line for line in lines if any(isfinite(value) for _, value in line.points)]
    if not lines:
        return f'<p class="none">{escape(panel["fieldConfig"]["defaults"]["noValue"])}</p>'
    match panel["type"]:
        case "stat" | "gauge":
            return "".join(stat(panel, line) for line in lines[:2])
        case "table":
            return table(panel, lines)
        case "state-timeline":
            return timeline(panel, lines, start_s, end_s)
        case "xychart":
            return chart(panel, by_step(lines))
        case _:
            return chart(panel, lines, (start_s, end_s))


def stat(panel: Panel, line: Line) -> str:
    """The last value, its name, or both."""
    defaults, value = panel["fieldConfig"]["defaults"], line.points[-1][1]
    mode = panel["options"].get("textMode", "auto")
    text, colour = told(value, defaults), threshold(defaults, value)
    for mapping in defaults.get("mappings", ()):
        if mapped := mapping["options"].get(f"{value:g}"):
            text, colour = mapped["text"], NAMED[mapped["color"]]
    if mode == "name":
        text, colour = (
            line.name,
            colour_of(panel, line, 0) if not defaults.get("thresholds") else colour,
        )
    if mode == "value_and_name":
        text = f"{text} {line.name}"
    size = 25 if len(text) < 12 else 17  # noqa: PLR2004 - what a narrow panel holds
    return f'<p class="stat" style="color:{colour};font-size:{size}px">{escape(text)}</p>'


def threshold(defaults: Mapping[str, Any], value: float) -> str:
    """The colour of the highest step that the value reaches."""
    colour = INK
    for step in defaults.get("thresholds", {}).get("steps", ()):
        if step["value"] is None or value >= step["value"]:
            colour = NAMED.get(step["color"], INK)
    return colour


def table(panel: Panel, lines: Sequence[Line]) -> str:
    """Rows that share their labels merged, then columns named and ordered as the panel says."""
    organized = panel["transformations"][-1]["options"]
    refs = {line.ref for line in lines}
    keys = set.intersection(*({*line.labels} for line in lines)) if lines else set()
    rows: dict[tuple[str, ...], dict[str, str | float]] = {}
    for line in lines:
        row = rows.setdefault(tuple(line.labels[key] for key in sorted(keys)), {})
        row |= {**line.labels, f"Value #{line.ref}": line.points[-1][1]}
    names = {
        *keys,
        *(name for row in rows.values() for name in row),
        *(f"Value #{r}" for r in refs),
    }
    shown = [name for name in names if not organized["excludeByName"].get(name)]
    shown.sort(key=lambda name: organized["indexByName"].get(name, 99))
    titles = [organized["renameByName"].get(name, name) for name in shown]
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "".join(
        "<tr>"
        + "".join(cell(panel, t, row.get(n)) for n, t in zip(shown, titles, strict=True))
        + "</tr>"
        for row in ordered(panel, rows.values(), dict(zip(titles, shown, strict=True)))
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def ordered(
    panel: Panel, rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]
) -> list[Any]:
    """As the panel sorts."""
    by = panel["options"]["sortBy"][0]
    return sorted(rows, key=lambda row: row.get(columns[by["displayName"]], ""), reverse=by["desc"])


def cell(panel: Panel, title: str, value: float | str | None) -> str:
    """One value of a table, in its own unit."""
    defaults = dict(panel["fieldConfig"]["defaults"])
    if value is None:
        return f"<td>{escape(defaults['noValue'])}</td>"
    colour = INK
    for override in overrides_of(panel, title):
        for each in override["properties"]:
            defaults[each["id"]] = each["value"]
            if each["id"] == "mappings" and isinstance(value, str):
                mapped = each["value"][0]["options"].get(value)
                colour = NAMED[mapped["color"]] if mapped else colour
    text = value if isinstance(value, str) else told(value, defaults)
    return f'<td style="color:{colour}">{escape(text)}</td>'


def by_step(lines: Sequence[Line]) -> list[Line]:
    """Values over the step that was scraped with them, a line for each run and figure."""
    steps = {line.labels["run"]: dict(line.points) for line in lines if line.ref == "A"}
    names = {"B": "train", "C": "validation"}
    return [
        Line(
            f"{names[line.ref]} {line.labels['run']}",
            line.labels,
            [
                (steps[line.labels["run"]][at], value)
                for at, value in line.points
                if at in steps[line.labels["run"]]
            ],
            line.ref,
        )
        for line in lines
        if line.ref != "A" and line.labels["run"] in steps
    ]


def ticks(low: float, high: float, *, least: float = 0.0) -> list[float]:
    """At most five round numbers between two others, so far apart at least."""
    span, count = high - low or 1.0, 4
    step = 10.0 ** floor(log10(span / count))
    step = max(least, step * next(m for m in (1, 2, 5, 10) if span / (step * m) <= count))
    first = ceil(low / step - 1e-9)
    return [n * step for n in range(first, floor(high / step + 1e-9) + 1)]


def chart(panel: Panel, lines: Sequence[Line], span: tuple[float, float] | None = None) -> str:
    """Lines, steps or bars, with axes and a legend; over a span of time, or over their x."""
    width = panel["gridPos"]["w"] * CELL_W - 24
    height = panel["gridPos"]["h"] * CELL_H - 62
    defaults = panel["fieldConfig"]["defaults"]
    xs = span or [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points if isfinite(y)]
    low, high = min([*ys, defaults.get("min", min(ys))]), max([*ys, defaults.get("max", max(ys))])
    pad = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    low, high = (low if low == defaults.get("min") else low - pad), high + pad
    least = 1.0 if defaults.get("decimals") == 0 else 0.0
    left, right = min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1

    def place(point: Point) -> tuple[float, float]:
        x = LEFT + (point[0] - left) / (right - left) * (width - LEFT - 8)
        y = TOP + (high - point[1]) / (high - low) * (height - TOP - BOTTOM)
        return x, y

    axes = "".join(
        axis(place((left, y))[1], told(y, defaults), width) for y in ticks(low, high, least=least)
    )
    below_s = [(left + t, seconds(t)) for t in ticks(0, right - left)]
    below_x = [(x, f"{x:g}") for x in ticks(left, right, least=1.0)]
    axes += "".join(
        below(place((x, low))[0], width, height, text) for x, text in (below_s if span else below_x)
    )
    paths = [
        path(panel, part, n, place, low)
        for n, line in enumerate(lines)
        for part in (unbroken(line) if span else [line])
    ]
    svg = f'<svg width="{width}" height="{height}">{axes}{"".join(paths)}</svg>'
    return svg + legend(panel, lines)


def unbroken(line: Line) -> Iterable[Line]:
    """Its parts between gaps."""
    part: list[Point] = []
    for point in line.points:
        if part and point[0] - part[-1][0] > GAP_S:
            yield replace(line, points=part)
            part = []
        part.append(point)
    yield replace(line, points=part)


def axis(y: float, text: str, width: int) -> str:
    """A horizontal line with its value."""
    line = f'<line x1="{LEFT}" x2="{width - 8}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>'
    return f'{line}<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>'


def below(x: float, width: int, height: int, text: str) -> str:
    """A value below the picture; the last one ends with it."""
    anchor = "end" if x > width - LABEL_W else "middle"
    place = f'x="{x:.1f}" y="{height - BOTTOM + 18}" text-anchor="{anchor}"'
    return f"<text {place}>{escape(text)}</text>"


def path(panel: Panel, line: Line, number: int, place: Any, low: float) -> str:  # noqa: ANN401 - a function
    """One line, its area where it has one, or its bars."""
    custom, colour = custom_of(panel, line.name), colour_of(panel, line, number)
    points = [place(point) for point in line.points if isfinite(point[1])]
    if custom.get("drawStyle") == "bars":
        floor_y = place((0, low))[1]
        return "".join(
            f'<rect x="{x - 5 + 3 * number:.1f}" y="{y:.1f}" width="3" fill="{colour}" '
            f'height="{max(0.0, floor_y - y):.1f}" opacity=".6"/>'
            for x, y in points
        )
    if custom.get("lineInterpolation") == "stepAfter":
        points = [
            p
            for a, b in zip(points, [*points[1:], points[-1]], strict=True)
            for p in (a, (b[0], a[1]))
        ]
    dash = ' stroke-dasharray="6 6"' if custom.get("lineStyle", {}).get("fill") == "dash" else ""
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    width = custom.get("lineWidth", 1.5)
    made = f'<polyline points="{text}" fill="none" stroke="{colour}" stroke-width="{width}"{dash}/>'
    if (
        len(points) == 1
        or "points" in custom.get("show", "")
        or custom.get("showPoints") == "always"
    ):
        made += "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{colour}"/>' for x, y in points
        )
    return made


def legend(panel: Panel, lines: Sequence[Line]) -> str:
    """A name in the colour of each line."""
    names = (
        f'<span><i style="background:{colour_of(panel, line, n)}"></i>{escape(line.name)}</span>'
        for n, line in enumerate(lines)
    )
    return f'<div class="legend">{"".join(names)}</div>'


def timeline(panel: Panel, lines: Sequence[Line], start_s: float, end_s: float) -> str:
    """A row for each state, filled where it held."""
    width, high, names_w = panel["gridPos"]["w"] * CELL_W - 24, 20, 190
    second_w = (width - names_w) / (end_s - start_s)
    rows = []
    for n, line in enumerate(lines):
        shape = f'height="{high - 6}" fill="{colour_of_state(panel, line)}"'
        held = "".join(
            f'<rect x="{names_w + (at - start_s) * second_w:.1f}" y="{n * high + 3}" '
            f'width="{max(1.5, second_w):.1f}" {shape}/>'
            for at, value in line.points
            if value
        )
        place = f'x="{names_w - 8}" y="{n * high + 14}" text-anchor="end"'
        rows.append(f"<text {place}>{escape(line.name)}</text>{held}")
    return f'<svg width="{width}" height="{len(lines) * high + 6}">{"".join(rows)}</svg>'
