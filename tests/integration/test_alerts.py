"""The alerts, as Prometheus itself reads and evaluates them: each fires, and each keeps quiet."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders.alerts import BASE, JOB, JOB_CASES, Case, base, job, steady
from cluster.assets import binary

RULE = Path(__file__).parents[2] / "manifests" / "monitoring" / "prometheusrule.yaml"
GROUPS = yaml.safe_load(RULE.read_text())["spec"]["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}


def a_base(**values: str) -> dict[str, str]:
    """The series of a base model that is well, but for these."""
    well = {
        "ready": steady(1),
        "stalled": steady(0),
        "suspended": steady(0),
        "write_back_failures": steady(0),
    }
    return {base(name): value for name, value in (well | values).items()}


TWO_LEADERS = {
    base("ready", instance="a"): f"0x6 _x{15 * 24 * 12}",
    base("ready", instance="b"): f"_x6 {steady(0)}",
}
DOWN = steady(0)
RETRAINED_OFTEN = "0x12 100x12 200x12 300x12 400x12"
RETRAINED_FIRST = "0x12 100x12 200x12 300x120"
HANDED_OVER = {
    job("last_retrain_timestamp_seconds", instance="a"): "100x12 200x12 _x48",
    job("last_retrain_timestamp_seconds", instance="b"): "_x26 200x48",
}

CASES: dict[str, tuple[str, Case]] = JOB_CASES | {
    "no controller leads": ("ControllerDown", Case({"tunekeeper_leader": DOWN}, {})),
    "nothing can be scraped": ("ControllerDown", Case({"up": DOWN}, {})),
    "one of two leads": (
        "ControllerDown",
        Case({'tunekeeper_leader{pod="a"}': steady(1), 'tunekeeper_leader{pod="b"}': DOWN}),
    ),
    "the lease moves": (
        "ControllerDown",
        Case(
            {'tunekeeper_leader{pod="a"}': "1x12 0", 'tunekeeper_leader{pod="b"}': "0x12 1"},
            at="1h",
        ),
    ),
    "a namespace without rights": (
        "NamespaceClosed",
        Case({'tunekeeper_namespace_open{namespace="ml"}': DOWN}, {"namespace": "ml"}, at="1h"),
    ),
    "a namespace whose rights come": (
        "NamespaceClosed",
        Case({'tunekeeper_namespace_open{namespace="ml"}': f"0x2 {steady(1)}"}, at="1h"),
    ),
    "looks fail for two hours": (
        "BaseModelCheckFailing",
        Case(a_base(ready=DOWN), BASE, at="2h"),
    ),
    "looks fail while the leader changes": (
        "BaseModelCheckFailing",
        Case({**TWO_LEADERS, base("stalled"): DOWN}, BASE, at="2h"),
    ),
    "looks fail for half an hour": ("BaseModelCheckFailing", Case(a_base(ready=DOWN), at="30m")),
    "one look in four fails": (
        "BaseModelCheckFailing",
        Case(a_base(ready=" ".join(["1x2 0"] * 60)), at="10h"),
    ),
    "suspended before the first look": (
        "BaseModelCheckFailing",
        Case(a_base(ready=DOWN, suspended=steady(1))),
    ),
    "stalled is another alert": (
        "BaseModelCheckFailing",
        Case(a_base(ready=DOWN, stalled=steady(1))),
    ),
    "so is a failing write-back": (
        "BaseModelCheckFailing",
        Case(a_base(ready=DOWN, write_back_failures=steady(4))),
    ),
    "a person has to mend it": (
        "BaseModelStalled",
        Case(a_base(stalled=steady(1)), BASE, at="1h"),
    ),
    "it is mended at once": ("BaseModelStalled", Case(a_base(stalled="1x3 0x12"), at="1h")),
    "the forge refuses": (
        "BaseModelWriteBackFailing",
        Case(a_base(write_back_failures="1 2 3 4 5x12"), BASE, "1h", "5"),
    ),
    "the forge was down once": (
        "BaseModelWriteBackFailing",
        Case(a_base(write_back_failures="1 2 0x12"), at="1h"),
    ),
    "behind for eight days": (
        "JobBehindBaseModel",
        Case({job("base_model_behind"): steady(1)}, JOB, at="8d"),
    ),
    "behind for six days": (
        "JobBehindBaseModel",
        Case({job("base_model_behind"): steady(1)}, at="6d"),
    ),
    "current": ("JobBehindBaseModel", Case({job("base_model_behind"): DOWN})),
    "four retrains in four hours": (
        "RetrainLoop",
        Case({job("last_retrain_timestamp_seconds"): RETRAINED_OFTEN}, JOB, "5h", "4"),
    ),
    "the first three retrains": (
        "RetrainLoop",
        Case({job("last_retrain_timestamp_seconds"): RETRAINED_FIRST}, JOB, "4h", "3"),
    ),
    "the first two": (
        "RetrainLoop",
        Case({job("last_retrain_timestamp_seconds"): RETRAINED_FIRST}, at="150m"),
    ),
    "one a day": (
        "RetrainLoop",
        Case({job("last_retrain_timestamp_seconds"): "0x288 100x288 200x288"}, at="3d"),
    ),
    "a change of the leader is no retrain": ("RetrainLoop", Case(HANDED_OVER, at="5h")),
    "a pin that names nothing": (
        "PinRefused",
        Case({job("promoted", reason="NotFound"): DOWN}, JOB | {"reason": "NotFound"}, at="1h"),
    ),
    "a pin that is followed": ("PinRefused", Case({job("promoted", reason="Pinned"): steady(1)})),
    "a pin that is mended": (
        "PinRefused",
        Case(
            {
                job("promoted", reason="NotFound"): "0x2 _x100",
                job("promoted", reason="Pinned"): "_x3 1x100",
            },
            at="1h",
        ),
    ),
    "a retrain that is worse": (
        "PromotionRefused",
        Case(
            {job("promoted", reason="Reject"): DOWN, job("promoted_sequence"): steady(2)},
            JOB | {"reason": "Reject"},
            at="2d",
        ),
    ),
    "a first run that is not good enough": (
        "PromotionRefused",
        Case({job("promoted", reason="Reject"): DOWN, job("promoted_sequence"): DOWN}),
    ),
    "a retrain that is better": (
        "PromotionRefused",
        Case({job("promoted", reason="Promoted"): steady(1), job("promoted_sequence"): steady(2)}),
    ),
    "nobody has approved": (
        "PromotionAwaitingApproval",
        Case({job("promoted", reason="AwaitingApproval"): DOWN}, JOB, at="4d"),
    ),
    "somebody has, after a day": (
        "PromotionAwaitingApproval",
        Case(
            {
                job("promoted", reason="AwaitingApproval"): "0x288 _x2000",
                job("promoted", reason="Pinned"): "_x289 1x2000",
            },
            at="4d",
        ),
    ),
}


def promtool(*arguments: str | Path) -> str:
    """What it printed; fails with that when it does not like something."""
    command = [str(binary("promtool")), *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The groups alone, as the Prometheus operator writes them."""
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": GROUPS}))
    return path


def test_prometheus_can_read_the_rules(rules: Path) -> None:
    assert f"SUCCESS: {len(ALERTS)} rules found" in promtool(
        "check", "rules", "--lint-fatal", rules
    )


@pytest.mark.parametrize(("alert", "case"), CASES.values(), ids=CASES)
def test_an_alert(alert: str, case: Case, rules: Path, tmp_path: Path) -> None:
    name = f"Tunekeeper{alert}"
    told: list[dict[str, Any]] = [{"alertname": name, "eval_time": case.at, "exp_alerts": []}]
    if case.fires is not None:
        labels = {**case.fires, "severity": ALERTS[name]["labels"]["severity"]}
        told[0]["exp_alerts"] = [{"exp_labels": labels, "exp_annotations": said(name, case)}]
    series = [{"series": each, "values": values} for each, values in case.series.items()]
    test = {"interval": "5m", "input_series": series, "alert_rule_test": told}
    path = tmp_path / "test.yaml"
    interval = "10m" if case.at.endswith("d") else "5m"  # fewer looks at what takes days
    document = {"rule_files": [str(rules)], "evaluation_interval": interval, "tests": [test]}
    path.write_text(yaml.safe_dump(document))
    assert "SUCCESS" in promtool("test", "rules", path)


def said(name: str, case: Case) -> dict[str, str]:
    """The annotations with the labels and the value put in."""
    texts = dict(ALERTS[name]["annotations"])
    values = {f"$labels.{key}": value for key, value in (case.fires or {}).items()}
    values["$value | humanize"] = case.value
    for key, value in values.items():
        texts = {title: text.replace(f"{{{{ {key} }}}}", value) for title, text in texts.items()}
    return texts


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    tried = {(f"Tunekeeper{alert}", case.fires is not None) for alert, case in CASES.values()}
    assert tried == {(name, fires) for name in ALERTS for fires in (True, False)}
