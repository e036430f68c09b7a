"""report.html: one judgement as a page that needs no network and no script.

Owns what is shown and in which order; numbers come from ``units``, drawings from ``charts``.
Everything in a report may be hostile (answers are a model's output), so the template escapes
all of it and the page forbids itself to load or run anything.
"""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from trainer.report import charts, units
from trainer.report.answers import pairs
from trainer.report.drawings import difference_chart, loss_chart, score_chart
from trainer.report.model import Report
from trainer.report.names import ABOUT, VERDICTS, arm_name, requirement

FILTERS = {
    "about_arm": lambda name: ABOUT.get(name, ""),
    "arm_name": arm_name,
    "count": units.count,
    "duration": units.duration,
    "level": units.level,
    "moment": units.moment,
    "nats": units.nats,
    "number": units.number,
    "p_value": units.p_value,
    "percent": units.percent,
    "percentage": units.percentage,
    "points": units.points,
    "requirement": requirement,
    "size": units.size,
    "with_unit": units.with_unit,
}


def render(report: Report) -> str:
    """The whole page."""
    return _page().render(
        report=report,
        judgement=report.judgement,
        data=report.data,
        scores=score_chart(report.judgement),
        differences=difference_chart(report.judgement),
        losses=loss_chart(report.losses, report.judgement.overfitting),
        pairs=pairs(report.changed),
        axis=charts.axis,
        verdict=VERDICTS[report.judgement.verdict],
        state=_state(report),
        cost=_cost(report),
        versions=", ".join(f"{name} {version}" for name, version in report.versions.items()),
    )


def _state(report: Report) -> str:
    if report.promoted:
        return "Promoted: this adapter is the one in use."
    if report.adapter_uri:
        return "Not promoted: the adapter is kept, what was in use before stays in use."
    return "No adapter was trained; what was in use before stays in use."


def _cost(report: Report) -> str:
    cost = report.cost
    return "no price given" if cost.amount is None else f"{cost.amount} {cost.currency}"


@cache
def _page() -> Template:
    return templates().get_template("report.html.j2")


def templates(*folders: Path) -> Environment:
    """Where pages in the report's style are made; ``folders`` are looked at before the report's."""
    environment = Environment(
        loader=FileSystemLoader([*folders, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    return environment
