"""The kinds of the Prometheus operator, as its release defines them; without the operator."""

import yaml
from cluster.api import Json
from cluster.assets import MODULES, cache_root
from cluster.gotool import go_sources

OPERATOR = "github.com/prometheus-operator/prometheus-operator"
KINDS = ("ServiceMonitor", "PodMonitor", "PrometheusRule")


def monitoring_kinds() -> list[Json]:
    """Their CustomResourceDefinitions."""
    folder = go_sources(MODULES / "monitoring", OPERATOR, cache_root())
    names = (f"monitoring.coreos.com_{kind.lower()}s.yaml" for kind in KINDS)
    files = [folder / "example" / "prometheus-operator-crd" / name for name in names]
    return [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]


if __name__ == "__main__":  # as ``make programs`` fetches what tests need
    monitoring_kinds()
