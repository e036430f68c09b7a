"""Every panel about base models and promotion has data: a real operator under a real Prometheus."""

from pathlib import Path

import pytest
from builders.operated import PATIENCE_S, Desk, operated
from builders.watched import NAME, BaseDesk
from cluster import dashboards
from cluster.dashboards import Query
from cluster.plane import ControlPlane
from cluster.process import wait_until
from cluster.prometheus import Prometheus, running

from trainer.contract.failures import FailureClass
from trainer.contract.outcome import Details
from trainer.contract.verdict import Judgement, Verdict

BOARDS = Path(__file__).parents[2] / "manifests" / "monitoring" / "dashboards"
ROWS = (("tunekeeper-fleet", "Base models"), ("tunekeeper-job", "Base model and promotion"))
JOB = "intents"
GIT = {"git": {"url": "https://git.acme.test/manifests"}}
A = f"sha256:{'a' * 64}"
SCRAPED_WITHIN_S = 60.0


def scraping(desk: Desk) -> dict[str, object]:
    """As the ServiceMonitor asks, but for the discovery: the operator is a process here."""
    target = {"targets": [f"127.0.0.1:{desk.health_port}"]}
    job = {"job_name": "operator", "honor_labels": True, "static_configs": [target]}
    times = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    return {"global": times, "scrape_configs": [job]}


def a_job_that_falls_behind(desk: Desk, base: BaseDesk, server: Prometheus) -> None:
    """Judged on revision a; then the base model moves to b, after a look that failed."""
    base.apply(settleSeconds=0, writeBack=GIT)
    base.look(1).found("a")
    base.writing(2).running().succeeded(commit="c1", changed_files=1)
    base.until_ready("True", "Resolved")
    desk.apply(JOB, baseModel={"name": NAME}, promotion={"policy": "Manual"})
    from_0 = "tunekeeper_promotions_total == 0"
    wait_until(lambda: server.query(from_0), "it is counted from 0", SCRAPED_WITHIN_S)
    desk.kubelet.pod("prepare").running().succeeded(base_revision="rev-a", base_digest=A)
    desk.kubelet.pod("train").running().succeeded()
    desk.kubelet.pod("judge").running().succeeded(Details(evaluation=a_judgement()))
    desk.until_phase("Succeeded", "AwaitingApproval", JOB)
    base.check("now")
    base.look(3).running().failed(FailureClass.UNAVAILABLE)
    base.look(4).found("b")
    base.writing(5).running().succeeded(commit="c2", changed_files=1)
    desk.until(lambda _: desk.condition("BaseModelCurrent")["status"] == "False", "it is behind")


def a_judgement() -> Judgement:
    return Judgement(metric="ExactMatch", arms=[], verdict=Verdict.PROMOTE, reason="better")


def unanswered(server: Prometheus, namespace: str) -> list[Query]:
    """Queries of the rows that return nothing."""
    values = {"namespace": namespace, "finetunejob": JOB}
    return [
        query
        for board, row in ROWS
        for query in dashboards.queries_of_row(dashboards.load(BOARDS / f"{board}.json"), row)
        if not server.query(dashboards.filled(query.expression, values))
    ]


def shown(server: Prometheus, namespace: str, title: str) -> dict[str, float]:
    """What a panel of the fleet's row shows, by its labels where there are any."""
    board = dashboards.load(BOARDS / "tunekeeper-fleet.json")
    (query,) = [q for q in dashboards.queries_of_row(board, "Base models") if q.panel == title]
    vector = server.query(dashboards.filled(query.expression, {"namespace": namespace}))
    return {"/".join(one["metric"].values()): float(one["value"][1]) for one in vector}


@pytest.mark.parametrize(("board", "row"), ROWS)
def test_the_row_has_queries(board: str, row: str) -> None:
    assert list(dashboards.queries_of_row(dashboards.load(BOARDS / f"{board}.json"), row))


def test_every_panel_of_the_rows_has_data_and_says_what_happened(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk, running(scraping(desk)) as server:
        a_job_that_falls_behind(desk, BaseDesk(desk), server)
        wait_until(
            lambda: unanswered(server, namespace) == [], "every panel has data", SCRAPED_WITHIN_S
        )

        def stat(title: str) -> float:
            return sum(shown(server, namespace, title).values())

        wait_until(lambda: stat("Jobs behind") == 1, "the job is behind", SCRAPED_WITHIN_S)
        assert stat("Ready") == 1
        assert stat("Not ready") == 0
        assert stat("Await approval") == 1
        assert stat("Not promoted") == 0
        assert stat("Updates") > 0
        assert set(shown(server, namespace, "Looks at sources")) == {"success", "Unavailable"}
        assert set(shown(server, namespace, "Runs that began")) == {"Spec", "Rerun", "BaseModel"}
        assert set(shown(server, namespace, "Promoted, refused and why")) == {"AwaitingApproval"}
        (age,) = shown(server, namespace, "Age of the newest revision").values()
        assert 0 <= age < PATIENCE_S + SCRAPED_WITHIN_S


def test_the_panels_are_whole_before_anything_happened(plane: ControlPlane, namespace: str) -> None:
    stats = ("Ready", "Not ready", "Settling", "Jobs behind", "Await approval", "Not promoted")
    with operated(plane, namespace) as desk, running(scraping(desk)) as server:
        wait_until(lambda: server.query("tunekeeper_leader"), "it is scraped", SCRAPED_WITHIN_S)
        assert [shown(server, namespace, title) for title in stats] == [{"": 0.0}] * len(stats)
