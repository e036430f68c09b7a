"""The samples of notifications, as Alertmanager and Prometheus read them; Flux's agree in names."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from cluster.assets import binary

from controller.api.conditions import ConditionType
from controller.api.reasons import Reason
from controller.shell.metrics import Metrics

SAMPLES = Path(__file__).parents[2] / "examples" / "notifications"
ALERTMANAGER = SAMPLES / "alertmanager.yml"
GROUPS = yaml.safe_load((SAMPLES / "rules.yaml").read_text())["spec"]["groups"]
NEWS = {rule["labels"]["news"]: rule for group in GROUPS for rule in group["rules"]}
FLUX = list(yaml.safe_load_all((SAMPLES / "flux.yaml").read_text()))
JOB = 'namespace="ml",finetunejob="intents"'


def run(program: str, *arguments: str | Path) -> str:
    command = [str(binary(program)), *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_alertmanager_can_read_its_sample():
    assert "SUCCESS" in run("amtool", "check-config", ALERTMANAGER)


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["news=promoted"], "ml-news"),
        (["news=rejected"], "ml-news"),
        (["news=failed"], "ml-failures"),
        (["alertname=TunekeeperControllerDown"], "null"),
    ],
)
def test_news_go_where_the_sample_says(labels, receiver):
    route = ("config", "routes", "test", f"--config.file={ALERTMANAGER}")
    assert run("amtool", *route, f"--verify.receivers={receiver}", *labels).strip() == receiver


def test_there_are_the_three_kinds_of_news_and_they_ask_for_series_that_there_are():
    assert set(NEWS) == {"promoted", "rejected", "failed"}
    exported = {family.name for family in Metrics().registry.collect()}
    asked = {name for rule in NEWS.values() for name in re.findall(r"tunekeeper_\w+", rule["expr"])}
    assert asked <= exported


@dataclass(frozen=True)
class Case:
    """What was scraped each minute, when it is looked at, and whether it is news then."""

    series: Mapping[str, str]
    at: str
    is_news: bool


def sequence(values: str, instance: str = "a") -> dict[str, str]:
    return {f'tunekeeper_job_promoted_sequence{{{JOB},instance="{instance}"}}': values}


def rejected(values: str) -> dict[str, str]:
    return {f'tunekeeper_job_verdict{{{JOB},verdict="Reject"}}': values}


def failed(values: str) -> dict[str, str]:
    return {f'tunekeeper_job_phase{{{JOB},phase="Failed"}}': values}


CASES = {
    "a first promotion": ("promoted", Case(sequence("0x30 1x60"), "35m", True)),
    "a rollback": ("promoted", Case(sequence("3x30 4x60"), "35m", True)),
    "a promotion of an hour ago": ("promoted", Case(sequence("0x30 1x90"), "90m", False)),
    "an adapter in use when Prometheus began": ("promoted", Case(sequence("4x90"), "5m", False)),
    "a new leader": (
        "promoted",
        Case(sequence("2x30 _x60") | sequence("_x30 2x60", "b"), "35m", False),
    ),
    "a rejection": ("rejected", Case(sequence("0x90") | rejected("_x30 1x60"), "35m", True)),
    "a rejection after another one": (
        "rejected",
        Case(sequence("0x120") | rejected("1x30 _x30 1x60"), "65m", True),
    ),
    "a rejection of an hour ago": (
        "rejected",
        Case(sequence("0x120") | rejected("_x30 1x90"), "100m", False),
    ),
    "a rejected job when Prometheus began": (
        "rejected",
        Case(sequence("0x90") | rejected("1x90"), "5m", False),
    ),
    "a failure": ("failed", Case(failed("0x30 1x60"), "35m", True)),
    "a failure after another one": ("failed", Case(failed("0x30 1x5 0x10 1x60"), "50m", True)),
    "a failure that was mended": ("failed", Case(failed("0x30 1x2 0x60"), "35m", False)),
    "a failure of an hour ago": ("failed", Case(failed("0x30 1x90"), "100m", False)),
}


def test_every_kind_of_news_has_cases_of_both_kinds():
    assert {(news, case.is_news) for news, case in CASES.values()} == {
        (news, is_news) for news in NEWS for is_news in (True, False)
    }


@pytest.fixture(scope="module")
def rules(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": GROUPS}))
    run("promtool", "check", "rules", "--lint-fatal", path)
    return path


@pytest.mark.parametrize(("news", "case"), CASES.values(), ids=CASES)
def test_news_are_told_when_they_are_news(rules, tmp_path, news, case):
    rule = NEWS[news]
    labels = {"namespace": "ml", "finetunejob": "intents", **rule["labels"]}
    texts = {
        name: text.replace("{{ $labels.namespace }}", "ml")
        for name, text in rule["annotations"].items()
    }
    texts = {
        name: text.replace("{{ $labels.finetunejob }}", "intents") for name, text in texts.items()
    }
    told = [{"exp_labels": labels, "exp_annotations": texts}] if case.is_news else []
    look = {"alertname": rule["alert"], "eval_time": case.at, "exp_alerts": told}
    series = [{"series": name, "values": values} for name, values in case.series.items()]
    test = {"interval": "1m", "input_series": series, "alert_rule_test": [look]}
    document = {"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(document))
    assert "SUCCESS" in run("promtool", "test", "rules", tmp_path / "test.yaml")


def test_fluxs_alerts_name_what_is_there():
    named = {
        kind: {each["metadata"]["name"] for each in FLUX if each["kind"] == kind}
        for kind in ("Kustomization", "Provider")
    }
    for alert in (each["spec"] for each in FLUX if each["kind"] == "Alert"):
        assert alert["providerRef"]["name"] in named["Provider"]
        [source] = alert["eventSources"]
        assert source["name"] in named[source["kind"]]


def test_fluxs_expressions_name_conditions_and_reasons_that_there_are():
    text = (SAMPLES / "flux.yaml").read_text()
    types = set(re.findall(r"c\.type == '(\w+)'", text))
    assert types == {"Finished", "Stalled", "Succeeded", "Promoted"}
    assert types <= {each.value for each in ConditionType}
    assert set(re.findall(r"c\.reason == '(\w+)'", text)) <= {each.value for each in Reason}
