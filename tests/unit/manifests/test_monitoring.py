"""Dashboards and alerts ask for metrics that there are, and every alert says what to do."""

import re
from pathlib import Path

import pytest
import yaml
from cluster import dashboards

from controller.shell.fleet import FAMILIES
from controller.shell.metrics import Metrics
from controller.shell.watched import COUNTERS, GAUGES

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "manifests" / "monitoring"
RUNBOOKS = ROOT / "docs" / "runbooks"
RULES = yaml.safe_load((MONITORING / "prometheusrule.yaml").read_text())
ALERTS = {rule["alert"]: rule for group in RULES["spec"]["groups"] for rule in group["rules"]}
BOARDS = {path.stem: dashboards.load(path) for path in (MONITORING / "dashboards").glob("*.json")}
OURS = re.compile(r"\btunekeeper_(?!trainer_)\w+")
SEVERITIES = {"critical", "warning", "info"}
PAGE = ("## What it means", "## Look at", "## Do")


def exported():
    """Names of series; a histogram has more than one."""
    families = list(Metrics().registry.collect())
    endings = ("", "_total", "_bucket", "_sum", "_count")
    return {family.name + ending for family in families for ending in endings}


def asked_for(expression):
    return set(OURS.findall(expression))


@pytest.mark.parametrize("board", BOARDS)
def test_every_panel_asks_for_metrics_that_there_are(board):
    asked = [asked_for(query.expression) for query in dashboards.queries(BOARDS[board])]
    assert set().union(*asked) <= exported()


@pytest.mark.parametrize("board", BOARDS)
def test_panels_have_numbers_of_their_own_and_do_not_overlap(board):
    panels = BOARDS[board]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [cell for panel in panels for cell in cells(panel["gridPos"])]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24


def cells(place):
    x, y, width, height = (place[key] for key in "xywh")
    return [(x + right, y + down) for right in range(width) for down in range(height)]


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_asks_for_metrics_that_there_are(name):
    asked = asked_for(ALERTS[name]["expr"])
    assert asked
    assert asked <= exported()


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_and_where_to_read_on(name):
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in SEVERITIES
    assert alert["annotations"]["summary"].endswith(".")
    assert alert["annotations"]["description"].endswith(".")
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    page = (ROOT / alert["annotations"]["runbook_url"]).read_text()
    assert page.startswith(f"# {name}\n")
    assert [line for line in page.splitlines() if line.startswith("## ")] == list(PAGE)


def test_every_page_is_of_an_alert():
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(ALERTS)


def test_every_series_of_base_models_and_every_alert_is_documented():
    page = (ROOT / "docs" / "install.md").read_text()
    counters = [f"{name}_total" for name in COUNTERS]
    names = [f"tunekeeper_basemodel_{name}" for name in (*GAUGES, *counters)]
    names += [f"tunekeeper_job_{name}" for name in FAMILIES]
    missing = [name for name in (*names, *ALERTS) if f"`{name}`" not in page]
    assert missing == []
