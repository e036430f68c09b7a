"""Dashboards and alerts ask for metrics that there are, and every alert says what to do."""

import re
from pathlib import Path

import pytest
import yaml
from cluster import dashboards

from controller.shell.metrics import Metrics
from controller.shell.pulse import LoopMetrics
from trainer import metrics as of_stages

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "manifests" / "monitoring"
RUNBOOKS = ROOT / "docs" / "runbooks"
RULES = yaml.safe_load((MONITORING / "prometheusrule.yaml").read_text())
ALERTS = {rule["alert"]: rule for group in RULES["spec"]["groups"] for rule in group["rules"]}
BOARDS = {path.stem: dashboards.load(path) for path in (MONITORING / "dashboards").glob("*.json")}
OURS = re.compile(r"\b(?:tunekeeper|controller_runtime|workqueue)_\w+")
SEVERITIES = {"critical", "warning", "info"}
PAGE = ("## What it means", "## Look at", "## Do")


def families():
    """Name, as series have it, and help text of everything that is exported."""
    metrics = Metrics()
    LoopMetrics(metrics.registry)
    for family in metrics.registry.collect():
        yield family.name + ("_total" if family.type == "counter" else ""), family.documentation
    for name, (_, text) in of_stages.GAUGES.items():
        yield f"{of_stages.PREFIX}_{name}", text
    for name, text in of_stages.MADE_HERE.items():
        yield f"{of_stages.PREFIX}_{name}", text
    for name, text in of_stages.COUNTERS.items():
        yield f"{of_stages.PREFIX}_{name}_total", text


FAMILIES = {name: text for name, text in families() if not name.startswith(("process_", "python_"))}


def exported():
    """Names of series; a histogram has more than one."""
    return {name + ending for name in FAMILIES for ending in ("", "_bucket", "_sum", "_count")}


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


PAGE_OF_METRICS = (ROOT / "docs" / "monitoring.md").read_text()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_metric_is_described_in_the_words_of_the_code(name):
    rows = re.findall(rf"^\| `{name}` \|.*\| (.*) \|$", PAGE_OF_METRICS, re.MULTILINE)
    assert rows == [FAMILIES[name]]


def test_no_metric_is_described_that_there_is_not():
    told = set(
        re.findall(
            r"^\| `((?:tunekeeper|controller_runtime|workqueue)_\w+)`",
            PAGE_OF_METRICS,
            re.MULTILINE,
        )
    )
    assert told <= FAMILIES.keys()


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_listed_with_its_severity_and_a_link_to_its_page(name):
    severity = ALERTS[name]["labels"]["severity"]
    assert f"| [`{name}`](runbooks/{name}.md) | {severity} |" in PAGE_OF_METRICS


def test_every_panel_is_listed():
    titles = [panel["title"] for board in BOARDS.values() for panel in board["panels"]]
    assert [title for title in titles if title not in PAGE_OF_METRICS] == []
