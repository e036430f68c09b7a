"""What a Grafana dashboard asks of Prometheus: its variables and every query of every panel."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GRAFANAS = {"run": ".*", "__rate_interval": "10s", "__interval": "10m"}
"""What Grafana puts in for scrapes of each second, a bar's least time, and the choice All."""
LABEL_VALUES = re.compile(r"^label_values\((?P<selector>.+), (?P<label>\w+)\)$")


@dataclass(frozen=True)
class Query:
    """One query of one panel."""

    panel: str
    expression: str
    legend: str = ""
    ref: str = ""


@dataclass(frozen=True)
class Variable:
    """A template variable: the values of a label over a selector."""

    name: str
    selector: str
    label: str


def load(path: Path) -> dict[str, Any]:
    """The dashboard's JSON."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def variables(dashboard: Mapping[str, Any]) -> Iterator[Variable]:
    """Its query variables, in order; each may use those before it."""
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            found = LABEL_VALUES.match(variable["query"]["query"])
            assert found, f"{variable['name']}: only label_values(selector, label) is used"
            yield Variable(variable["name"], found["selector"], found["label"])


def queries(dashboard: Mapping[str, Any]) -> Iterator[Query]:
    """Every query of every panel; a row is a panel without any."""
    for panel in dashboard["panels"]:
        yield from _asked(panel)


def queries_of_row(dashboard: Mapping[str, Any], title: str) -> Iterator[Query]:
    """Every query of the panels from a row's title to the next row."""
    row = ""
    for panel in dashboard["panels"]:
        row = panel["title"] if panel["type"] == "row" else row
        if row == title:
            yield from _asked(panel)


def _asked(panel: Mapping[str, Any]) -> Iterator[Query]:
    for target in panel.get("targets", ()):
        yield Query(panel["title"], target["expr"], target["legendFormat"], target["refId"])


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with Grafana's variables put in, as Grafana does; the $1 of a rule stays."""
    known = {**GRAFANAS, **values}
    return re.sub(r"\$(\w+)", lambda found: known.get(found[1], found[0]), text)
