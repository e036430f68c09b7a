"""What the dashboards and alerts ask, answered by a Prometheus that scraped a whole story.

A real operator and real stages: a job is trained, its base model moves, it is trained again;
another job has bad data. Only the exporter of the GPUs is played, for there are none here.
"""

import re
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pytest
from builders.circle import JOB
from builders.monitored import BROKEN, MONITORING, Monitored, monitored, two_runs
from builders.releases import BASE
from builders.requests import a_request
from cluster import dashboards
from cluster.assets import binary
from cluster.plane import ControlPlane
from cluster.process import wait_until
from prometheus_client import generate_latest

from controller.api.reasons import Reason
from controller.api.status import Trigger
from controller.core.conditions import State
from controller.shell.controllermetrics import CONTROLLERS, Result
from controller.shell.fleet import ARMS
from trainer.contract.errand import Errand
from trainer.contract.failures import FailureClass
from trainer.contract.request import Stage
from trainer.contract.verdict import Verdict
from trainer.metrics import GAUGES, stage_registry
from trainer.progress import ProgressTracker

BOARDS = {
    path.stem: dashboards.load(path) for path in sorted((MONITORING / "dashboards").glob("*.json"))
}
QUERIES = [(name, query) for name, board in BOARDS.items() for query in dashboards.queries(board)]
ASKED = [pytest.param(*each, id=f"{each[0]}: {each[1].panel} {each[1].ref}") for each in QUERIES]
RESULTS = [
    query
    for row in ("Result", "What it cost")
    for query in dashboards.queries_of_row(BOARDS["tunekeeper-job"], row)
]
SEEN_WITHIN_S = 60.0
OURS = "tunekeeper|controller_runtime|workqueue|rest_client|leader_election|process"

Namespaces = Callable[[str], AbstractContextManager[str]]


@dataclass
class Seen:
    """What was found; read while the servers were there."""

    ranges: dict[str, list[Any]] = field(default_factory=dict)
    """By expression, over the whole story."""
    variables: dict[str, set[str]] = field(default_factory=dict)
    series: list[dict[str, str]] = field(default_factory=list)
    rules: list[dict[str, Any]] = field(default_factory=list)
    firing: list[dict[str, str]] = field(default_factory=list)
    results: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """Series of each result: at the end, after a restart of the operator, after the delete."""
    pages: dict[str, str] = field(default_factory=dict)
    """The text of both kinds of targets."""


@pytest.fixture(scope="module")
def seen(
    plane: ControlPlane, new_namespace: Namespaces, tmp_path_factory: pytest.TempPathFactory
) -> Seen:
    """Told once; the tests are claims about it."""
    folder, seen = tmp_path_factory.mktemp("dashboards"), Seen()
    with (
        new_namespace("dashboards") as namespace,
        monitored(plane, namespace, folder) as world,
    ):
        two_runs(world)
        look(world, seen)
        outlive(world, seen)
    return seen


def look(world: Monitored, seen: Seen) -> None:
    """Ask everything that there is to ask."""
    for _, query in QUERIES:
        seen.ranges[query.expression] = world.history(
            dashboards.filled(query.expression, world.values)
        )
    for name, board in BOARDS.items():
        for variable in dashboards.variables(board):
            found = world.server.series(dashboards.filled(variable.selector, world.values))
            seen.variables[f"{name}/{variable.name}"] = {
                one.get(variable.label, "") for one in found
            }
    seen.series = world.server.series(f'{{__name__=~"({OURS})_.*"}}')
    seen.rules = world.server.rules()
    seen.firing = [one["metric"] for one in world.history('ALERTS{alertstate="firing"}')]
    with urllib.request.urlopen(world.metrics_url, timeout=10) as answer:  # noqa: S310 - ours
        seen.pages["operator"] = answer.read().decode()


def outlive(world: Monitored, seen: Seen) -> None:
    """The pods are gone; then the operator starts anew; then the job is deleted."""
    counts = [results(world)]
    world.desk.stop()
    wait_until(lambda: not any(results(world).values()), "it is scraped no more", SEEN_WITHIN_S)
    world.desk.start()
    wait_until(lambda: all(results(world).values()), "it is scraped again", SEEN_WITHIN_S)
    counts.append(results(world))
    world.circle.deleted()
    wait_until(lambda: not any(results(world).values()), "its series are gone", SEEN_WITHIN_S)
    counts.append(results(world))
    seen.results = {
        query.expression: tuple(each[query.expression] for each in counts) for query in RESULTS
    }


def results(world: Monitored) -> dict[str, int]:
    """How many series each result has now."""
    return {
        query.expression: len(world.now(dashboards.filled(query.expression, world.values)))
        for query in RESULTS
    }


@pytest.mark.parametrize(("board", "query"), ASKED)
def test_a_panel_has_data(seen: Seen, board: str, query: dashboards.Query) -> None:
    assert seen.ranges[query.expression], f"{board}: {query.panel}: {query.expression}"


@pytest.mark.parametrize(("board", "query"), ASKED)
def test_a_legend_names_labels_that_there_are_and_tells_its_lines_apart(
    seen: Seen, board: str, query: dashboards.Query
) -> None:
    if query.legend == "__auto":  # a table
        return
    wanted = re.findall(r"{{(\w+)}}", query.legend)
    found = [one["metric"] for one in seen.ranges[query.expression]]
    lines = [tuple(metric.get(label, "") for label in wanted) for metric in found]
    assert len(set(lines)) == len(lines), f"{board}: {query.panel}: {found}"
    empty = [label for label in wanted if all(not metric.get(label) for metric in found)]
    assert not empty, f"{board}: {query.panel}: {found}"


VALUES = {"namespace": "dashboards-", "finetunejob": JOB, "run": "2"}
VARIABLES = [
    (f"{name}/{variable.name}", VALUES[variable.name])
    for name, board in BOARDS.items()
    for variable in dashboards.variables(board)
]


@pytest.mark.parametrize(("variable", "value"), VARIABLES)
def test_a_variable_offers_what_there_is(seen: Seen, variable: str, value: str) -> None:
    assert any(one.startswith(value) for one in seen.variables[variable])


def test_the_curves_of_both_runs_lie_side_by_side(seen: Seen) -> None:
    for query in dashboards.queries(BOARDS["tunekeeper-job"]):
        if query.panel == "Loss by step, every run":
            runs = {one["metric"].get("run") for one in seen.ranges[query.expression]}
            assert runs == {"1", "2"}


def test_job_run_and_stage_of_a_training_come_from_its_pods_labels(seen: Seen) -> None:
    steps = [one for one in seen.series if one["__name__"] == "tunekeeper_trainer_step"]
    told = {(one["finetunejob"], one.get("run", ""), one["stage"]) for one in steps}
    assert {(JOB, run, Stage.TRAIN.value) for run in "12"} <= told
    assert {stage for _, _, stage in told} <= set(Stage)
    assert not [label for one in steps for label in one if label.startswith("exported_")]


CLOSED: dict[str, set[str]] = {
    "phase": set(State),
    "reason": {*Reason, *FailureClass, *Verdict},
    "stage": {*Stage, *Errand},
    "arm": set(ARMS),
    "bound": {"estimate", "low", "high"},
    "verdict": set(Verdict),
    "currency": {"EUR"},
    "trigger": set(get_args(Trigger)),
    "result": {*get_args(Result), "Succeeded", "Failed", "success", *FailureClass, *Reason},
    "resource": {"finetunejobs", "basemodels", "jobs", "pods"},
    "controller": set(CONTROLLERS),
    "name": {*CONTROLLERS, "tunekeeper"},
    "verb": {"create", "update", "patch", "delete"},
    "kind": {"Job", "Service", "FineTuneJob", "BaseModel", "Event"},
    "method": {"GET", "POST", "PUT", "PATCH", "DELETE"},
    "finetunejob": {JOB, BROKEN},
    "basemodel": {BASE},
    "job": {"operator", "dcgm", "tunekeeper-stages"},
}
"""Objects of the story, and sets that the code closes."""
SHAPED = {
    "namespace": r"dashboards-[0-9a-f]{6}|tunekeeper-system",
    "code": r"[1-5]\d\d|<error>",
    "le": r"[\d.e+-]+|\+Inf",
    "run": r"\d+",
    "version": r"\d+\.\d+\S*",
    "host": r"127\.0\.0\.1:\d+",
    "instance": r"127\.\d+\.\d+\.\d+:\d+",
    "pod": r"operator|dcgm|(tickets|broken|tiny)-[0-9a-z-]+",
    "activity": r"[A-Za-z ]{1,40}",
}
NAMESPACE_NAME = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
ACTIVITIES = 24
"""Parts of stages, by the contract."""


def test_no_label_has_values_without_bound(seen: Seen) -> None:
    strange = {
        (one["__name__"], label, value)
        for one in filter(is_of_the_story, seen.series)
        for label, value in one.items()
        if label != "__name__" and not is_bounded(label, value)
    }
    assert strange == set()
    assert len({one["activity"] for one in seen.series if "activity" in one}) <= ACTIVITIES


def is_of_the_story(series: dict[str, str]) -> bool:
    """Not of the namespace of another test: the operator sees the whole server.

    A value that cannot be a namespace's name is nobody else's.
    """
    namespace = series.get("namespace", "")
    is_own = re.fullmatch(SHAPED["namespace"], namespace) is not None
    return is_own or re.fullmatch(NAMESPACE_NAME, namespace) is None


def is_bounded(label: str, value: str) -> bool:
    if label in CLOSED:
        return value in CLOSED[label]
    return label in SHAPED and re.fullmatch(SHAPED[label], value) is not None


def test_only_what_a_pod_serves_is_told_apart_by_run(seen: Seen) -> None:
    names = {one["__name__"] for one in seen.series if "run" in one}
    assert {name.split("_")[0] for name in names} == {"tunekeeper", "process"}
    assert not [name for name in names if name.startswith("tunekeeper_job")]


def test_every_rule_could_be_evaluated_on_what_there_is(seen: Seen) -> None:
    failed = {rule["name"]: rule["lastError"] for rule in seen.rules if rule.get("lastError")}
    assert failed == {}
    assert {rule["health"] for rule in seen.rules} == {"ok"}


def test_nothing_fired_that_did_not_happen(seen: Seen) -> None:
    fired = {one["alertname"] for one in seen.firing}
    assert fired <= {"TunekeeperJobFailed"}  # the one with bad data, once a minute has passed


@pytest.mark.parametrize("query", RESULTS, ids=lambda query: f"{query.panel} {query.ref}")
def test_a_finished_job_keeps_its_results_until_it_is_deleted(
    seen: Seen, query: dashboards.Query
) -> None:
    at_the_end, after_a_restart, after_the_delete = seen.results[query.expression]
    assert at_the_end == after_a_restart > 0
    assert after_the_delete == 0


def promtool(text: str) -> Iterator[str]:
    """What it says of metrics; nothing when it likes them."""
    command = [str(binary("promtool")), "check", "metrics"]
    ended = subprocess.run(  # noqa: S603 - our own binary
        command, input=text, capture_output=True, text=True, timeout=60, check=False
    )
    yield from (ended.stdout + ended.stderr).splitlines()
    assert ended.returncode == 0


def test_prometheus_likes_the_metrics_of_a_stage(tmp_path: Path) -> None:
    tracker = ProgressTracker(a_request(tmp_path))
    tracker.start("training", 10)
    tracker.checkpoint(300)
    fields = [field for field, _ in GAUGES.values()]
    known = set(vars(tracker.snapshot())) | set(tracker.figures())
    made = {"percent", "eta_seconds", "checkpoint_period_s"}
    tracker.measure(**dict.fromkeys((set(fields) & known) - made, 1.0), tokens=5)
    text = generate_latest(stage_registry(tracker)).decode()
    assert "tunekeeper_trainer_tokens_total" in text
    assert list(promtool(text)) == []


def test_prometheus_likes_the_metrics_of_the_operator(seen: Seen) -> None:
    assert "tunekeeper_job_score_low" in seen.pages["operator"]
    assert list(promtool(seen.pages["operator"])) == []
