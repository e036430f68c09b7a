"""A Prometheus without the operator labels series as the PodMonitor does with it."""

from typing import Any

import yaml
from builders.docpages import PAGES, ROOT

POD_MONITOR = ROOT / "manifests" / "monitoring" / "podmonitor.yaml"
PAGE = PAGES["docs/monitoring.md"]


def rules() -> list[dict[str, Any]]:
    block = PAGE.partition("```yaml\nrelabel_configs:")[2].partition("```")[0]
    found: list[dict[str, Any]] = yaml.safe_load("relabel_configs:" + block)["relabel_configs"]
    return found


def test_series_get_the_same_labels_either_way() -> None:
    spec = yaml.safe_load(POD_MONITOR.read_text(encoding="utf-8"))["spec"]
    (endpoint,) = spec["podMetricsEndpoints"]
    from_monitor = {one["targetLabel"]: one["sourceLabels"] for one in endpoint["relabelings"]}
    from_page = {
        one["target_label"]: one["source_labels"] for one in rules() if "action" not in one
    }
    by_operator = {  # the operator's own, of every PodMonitor
        "namespace": ["__meta_kubernetes_namespace"],
        "pod": ["__meta_kubernetes_pod_name"],
    }
    assert from_page == from_monitor | by_operator


def test_the_same_pods_and_port_are_kept() -> None:
    kept = {one["source_labels"][0]: one["regex"] for one in rules() if one.get("action") == "keep"}
    assert kept == {
        "__meta_kubernetes_pod_label_tunekeeper_dev_stage": ".+",
        "__meta_kubernetes_pod_container_port_name": "metrics",
    }
