"""The pictures of the dashboards: every panel is drawn, and says so where there is nothing."""

import importlib
import re
from html import escape
from pathlib import Path

import pytest
from cluster import dashboards

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "manifests" / "monitoring" / "dashboards"
PANELS = [
    pytest.param(panel, id=f"{path.stem}: {panel['title']}")
    for path in sorted(FOLDER.glob("*.json"))
    for panel in dashboards.load(path)["panels"]
    if panel["type"] != "row"
]


@pytest.fixture
def drawing(monkeypatch):
    """The script's module."""
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    return importlib.import_module("drawing")


def answers(drawing, panel):
    """A line for each query, with the labels that its legend or its table needs."""
    for target in panel["targets"]:
        names = re.findall(r"by \(([^)]*)\)", target["expr"])[-1:] or [""]
        labels = {name.strip(): "1" for name in names[0].split(",") if name.strip()}
        points = [(at, 1.0 + at / 10) for at in range(20)]
        yield drawing.Line(target["legendFormat"], labels, points, target["refId"])


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_without_data_says_what_that_means(drawing, panel):
    assert escape(panel["fieldConfig"]["defaults"]["noValue"]) in drawing.drawn(panel, [], 0, 19)


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_with_data_is_drawn(drawing, panel):
    body = drawing.drawn(panel, list(answers(drawing, panel)), 0, 19)
    kind = panel["type"]
    shown = {"stat": "<p class", "gauge": "<p class", "table": "<td"}.get(kind, "<svg")
    assert shown in body
    assert "nan" not in body


@pytest.mark.parametrize(
    ("value", "defaults", "text"),
    [
        (0.1234, {"unit": "percentunit", "decimals": 1}, "12.3 %"),
        (2.76, {"unit": "suffix: nats", "decimals": 3}, "2.760 nats"),
        (0, {"unit": "dtdurations"}, "0 s"),
        (0.25, {"unit": "s"}, "250 ms"),
        (3725, {"unit": "dtdurations"}, "1 h 02 min"),
        (1105.4, {"unit": "suffix: tokens/s"}, "1,105 tokens/s"),
        (2e-4, {"unit": "sci"}, "2.0e-04"),
    ],
)
def test_a_number_is_told_in_its_unit(drawing, value, defaults, text):
    assert drawing.told(value, defaults) == text


def test_the_picture_says_that_it_is_no_grafana():
    text = (ROOT / "docs" / "draw_dashboards.py").read_text()
    assert re.search(r'SAID = \(\s+"Not Grafana: drawn by docs/draw_dashboards\.py', text)
    page = (ROOT / "docs" / "monitoring.md").read_text()
    assert "Not a screenshot of Grafana" in page
