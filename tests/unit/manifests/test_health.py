"""Argo CD's and Flux's health checks say of every state what the pages say."""

from pathlib import Path

import pytest
import yaml
from builders import lives
from builders.gitops import KSTATUS, ArgoCheck, flux_checks

from controller.core.conditions import State
from controller.core.watching.conditions import TABLE as WATCHED

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/gitops.md").read_text(encoding="utf-8")
CASES = [
    pytest.param(path, health, document, id=f"{path.parents[1].name} {path.stem}")
    for path, health, document in lives.documents()
]
JOBS = {
    path.stem: document for path, _, document in lives.documents() if "FineTuneJob" in str(path)
}


def test_the_states_are_all_there_are():
    phases = {document["status"].get("phase") for document in JOBS.values()}
    assert phases == {"", *(state.value for state in State)}
    watched = [document for path, _, document in lives.documents() if "BaseModel" in str(path)]
    assert {truths(document) for document in watched} > {
        (row.ready, row.reconciling, row.stalled) for row in WATCHED.values()
    }


def truths(document):
    found = {one["type"]: one["status"] for one in document["status"]["conditions"]}
    return tuple(found.get(kind) for kind in ("Ready", "Reconciling", "Stalled"))


def test_the_test_data_is_what_the_operator_writes():
    stale = [
        path.name
        for path, _, document in lives.documents()
        if yaml.safe_load(path.read_text(encoding="utf-8")) != document
    ]
    assert stale == [], "PYTHONPATH=.:tests python -m builders.lives"


@pytest.mark.parametrize("kind", ["FineTuneJob", "BaseModel"])
def test_argo_cds_own_kind_of_test_names_every_state(kind):
    folder = lives.CHECKS / kind
    tests = yaml.safe_load((folder / "health_test.yaml").read_text(encoding="utf-8"))["tests"]
    assert tests == lives.argo_tests(kind)
    files = {f"testdata/{path.name}" for path in (folder / "testdata").iterdir()}
    assert {test["inputPath"] for test in tests} == files


@pytest.mark.parametrize(("path", "health", "document"), CASES)
def test_argo_cd_shows_the_health_and_the_reason(path, health, document):
    said = ArgoCheck(path.parents[1] / "health.lua").health(document)
    assert said == {"status": health, "message": lives.message(health, document)}


@pytest.mark.parametrize("kind", ["FineTuneJob", "BaseModel"])
def test_an_object_that_has_no_status_yet_is_progressing(kind):
    bare = {"metadata": {"generation": 1}, "spec": {}}
    said = ArgoCheck(lives.CHECKS / kind / "health.lua").health(bare)
    assert said["status"] == "Progressing"


# The rows of the page's tables -> the objects that are in that state.
ROWS = {
    "applied, not seen yet": ("new", "succeeded-then-edited"),
    "Pending, Queued; prepare runs": (
        "pending-base-model",
        "pending-secret",
        "pending-node",
        "queued",
        "running-prepare",
        "retrying",
    ),
    "train waits for Kueue or runs, judge runs": ("queued-kueue", "running-train", "running-judge"),
    "Suspended": ("suspended",),
    "promoted": ("succeeded-promote",),
    "rejected, not needed, inconclusive": (
        "succeeded-reject",
        "succeeded-not-needed",
        "succeeded-inconclusive",
    ),
    "waits for approval": ("succeeded-awaiting-approval",),
    "Failed": ("failed-data", "failed-spec"),
    "a pin was refused": ("pin-refused",),
}


def table():
    """What the page says of each state: without expressions, and by each of the two."""
    body = PAGE.partition("### What Flux makes of each state\n")[2].partition("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in body.splitlines() if line.startswith("| ")]
    return {row[0]: [cell.strip(" |") for cell in row[1:]] for row in lines[1:]}


def test_the_table_has_every_state():
    assert table().keys() == ROWS.keys()
    assert sorted(JOBS) == sorted(name for names in ROWS.values() for name in names)


@pytest.mark.parametrize("row", ROWS)
def test_flux_makes_of_each_state_what_the_page_says(row):
    by_data, by_promotion = flux_checks(PAGE)
    _, data, promotion = table()[row]
    for name in ROWS[row]:
        assert (name, by_data.status(JOBS[name])) == (name, data)
        assert (name, by_promotion.status(JOBS[name])) == (name, promotion)


@pytest.mark.parametrize("row", ROWS)
def test_what_flux_makes_of_it_without_expressions_is_what_argo_cd_does(row):
    for name in ROWS[row]:
        assert KSTATUS[lives.JOBS[name][0]] == table()[row][0]
