"""The dashboards as a person looks at them: what can be checked without Grafana."""

import re
from pathlib import Path

import pytest
from cluster import dashboards

from controller.shell.metrics import Metrics
from controller.shell.pulse import LoopMetrics
from trainer.metrics import COUNTERS, GAUGES, MADE_HERE

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "manifests" / "monitoring" / "dashboards"
RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
BOARDS = {path.stem: dashboards.load(path) for path in FOLDER.glob("*.json")}
PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]
QUERIES = [query for board in BOARDS.values() for query in dashboards.queries(board)]
RATED = re.compile(r"(?:rate|increase)\($")
WORST = {"red", "orange"}
BAD_NEWS = {"Failed", "Not ready", "Jobs behind", "Await approval", "Wasted GPU time", "Leaders"}
LIMITED = {"Age of the watches", "Reconciles that failed"}


def exported():
    metrics = Metrics()
    LoopMetrics(metrics.registry)
    return list(metrics.registry.collect())


def counted():
    """Every series that only grows."""
    names = {f"{family.name}_total" for family in exported() if family.type == "counter"}
    ends = ("bucket", "count", "sum")
    histograms = [family.name for family in exported() if family.type == "histogram"]
    names |= {f"{name}_{end}" for name in histograms for end in ends}
    return names | {f"tunekeeper_trainer_{name}_total" for name in COUNTERS} | {REQUESTS}


REQUESTS = "rest_client_requests_total"


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows_in_which_unit_and_what_if_there_is_nothing(panel):
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["description"].endswith(".")
    assert defaults["unit"]
    assert defaults["noValue"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize("panel", PANELS)
def test_a_line_has_a_name(panel):
    legends = [target["legendFormat"] for target in panel["targets"]]
    is_table = all(target.get("format") == "table" for target in panel["targets"])
    assert is_table or all(legend and legend != "__auto" for legend in legends)
    assert is_table or len(set(legends)) == len(legends)


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_that_shows_now_asks_for_now_and_one_that_shows_time_for_times(panel):
    shows_now = panel["type"] in {"stat", "gauge", "bargauge", "table"}
    for target in panel["targets"]:
        assert (target["instant"], target["range"]) == (shows_now, not shows_now)


@pytest.mark.parametrize("panel", PANELS)
def test_an_override_meets_a_line_that_there_is(panel):
    renamed = {
        new
        for step in panel.get("transformations", [])
        for new in step["options"].get("renameByName", {}).values()
    }
    shown = {target["legendFormat"] for target in panel["targets"]} | renamed
    labels = set(re.findall(r"(\w+)[,)]", " ".join(t["expr"] for t in panel["targets"])))
    for override in panel["fieldConfig"]["overrides"]:
        matcher = override["matcher"]
        if matcher["id"] == "byRegexp":
            assert any(re.search(matcher["options"].strip("/"), name) for name in shown)
        else:
            is_of_label = any("{{" in legend for legend in shown)
            assert is_of_label or matcher["options"] in shown | labels


@pytest.mark.parametrize("board", BOARDS)
def test_bad_news_have_a_colour(board):
    for panel in BOARDS[board]["panels"]:
        if panel["title"] in BAD_NEWS | LIMITED:
            steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            assert WORST & {step["color"] for step in steps}, panel["title"]


def test_the_dashboards_lead_to_each_other_and_keep_the_time():
    for name, other in (
        ("tunekeeper-fleet", "tunekeeper-job"),
        ("tunekeeper-job", "tunekeeper-fleet"),
    ):
        (link,) = BOARDS[name]["links"]
        assert link["url"].startswith(f"/d/{BOARDS[other]['uid']}")
        assert link["keepTime"]


def test_a_link_names_variables_of_the_dashboard_that_it_leads_to():
    text = (FOLDER / "tunekeeper-fleet.json").read_text()
    named = set(re.findall(r"var-(\w+)=", text))
    offered = {one["name"] for one in BOARDS["tunekeeper-job"]["templating"]["list"]}
    assert named
    assert named <= offered


@pytest.mark.parametrize(
    "query", QUERIES, ids=lambda query: f"{query.panel} {query.ref} {query.expression[:40]}"
)
def test_a_counter_is_asked_for_by_its_rate_and_nothing_else_is(query):
    for name in counted():
        for found in re.finditer(rf"\b{name}\b", query.expression):
            assert RATED.search(query.expression[: found.start()]), name
    for inner in re.findall(r"(?:rate|increase)\((\w+)", query.expression):
        assert inner in counted() | {"process_cpu_seconds_total"}


def test_every_counter_of_ours_is_shown():
    asked = " ".join(query.expression for query in QUERIES)
    ours = [name for name in counted() if name.startswith("tunekeeper") and name.endswith("_total")]
    assert [name for name in ours if name not in asked] == []


def test_every_figure_of_a_training_is_shown():
    asked = " ".join(query.expression for query in QUERIES)
    names = [f"tunekeeper_trainer_{name}" for name in (*GAUGES, *MADE_HERE)]
    unseen = {"tunekeeper_trainer_initial_loss_nats", "tunekeeper_trainer_eta_seconds"}
    assert {name for name in names if not re.search(rf"\b{name}\b", asked)} == unseen


@pytest.mark.parametrize(
    "query", QUERIES, ids=lambda query: f"{query.panel} {query.ref} {query.expression[:40]}"
)
def test_what_other_operators_tell_under_the_same_names_is_left_out(query):
    shared = re.findall(r"\b((?:controller_runtime|workqueue)_\w+)(\{[^}]*\})?", query.expression)
    assert all("finetunejob|basemodel" in labels for _, labels in shared)
    for name in ("rest_client_requests_total", "process_cpu_seconds_total"):
        if name in query.expression:
            assert "and on (instance) tunekeeper_build_info" in query.expression


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_a_runbook_names_panels_that_there_are(page):
    titles = {panel["title"] for board in BOARDS.values() for panel in board["panels"]}
    told = re.findall(
        r"[Pp]anels? ((?:\"[^\"]+\"(?:, | and )?)+)", page.read_text().replace("\n", " ")
    )
    named = {name for part in told for name in re.findall(r"\"([^\"]+)\"", part)}
    assert {re.sub(r"\s+", " ", name) for name in named} <= titles


def test_no_two_panels_of_a_row_have_one_title():
    for board in BOARDS.values():
        titles = [panel["title"] for panel in board["panels"]]
        assert len(set(titles)) == len(titles)
