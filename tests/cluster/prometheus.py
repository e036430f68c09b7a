"""A real Prometheus that scrapes what the project's own monitors say.

The scrape configuration is made from the PodMonitor and ServiceMonitor documents themselves, as
the Prometheus operator would make it, so that a wrong selector or port in them is found here.
"""

import json
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cluster.assets import binary

READY_S = 30.0

Document = Mapping[str, Any]


@dataclass(frozen=True)
class ApiAccess:
    """How Prometheus finds pods: an API server and a token that may list them."""

    server: str
    token: str
    ca_file: str = ""


@dataclass(frozen=True)
class Prometheus:
    """A running server."""

    address: str

    def query(self, expression: str) -> list[Any]:
        """The vector of an instant query."""
        result: list[Any] = self._get("query", query=expression)["result"]
        return result

    def query_range(
        self, expression: str, start_s: float, end_s: float, step_s: float = 1.0
    ) -> list[Any]:
        """The matrix between two times."""
        span = {"start": f"{start_s:.3f}", "end": f"{end_s:.3f}", "step": f"{step_s:g}"}
        result: list[Any] = self._get("query_range", query=expression, **span)["result"]
        return result

    def rules(self) -> list[dict[str, Any]]:
        """Every rule, with its health and what it last failed by."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def series(self, selector: str) -> list[dict[str, str]]:
        """Label sets of the series that match."""
        return list(self._get("series", **{"match[]": selector}))

    def targets(self) -> list[dict[str, Any]]:
        """Active targets with their health."""
        return list(self._get("targets")["activeTargets"])

    def _get(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(  # noqa: S310 - our own server
            f"{self.address}/api/v1/{path}?{query}", timeout=10
        ) as answer:
            document = json.load(answer)
        assert document["status"] == "success", document
        return document["data"]


def scrape_config(monitors: Sequence[Document], access: ApiAccess) -> dict[str, Any]:
    """What the Prometheus operator would make of the monitors, scraping each second."""
    jobs = [scrape_job(monitor, access) for monitor in monitors]
    return {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}


def scrape_job(monitor: Document, access: ApiAccess) -> dict[str, Any]:
    """One monitor with one endpoint."""
    is_pods = monitor["kind"] == "PodMonitor"
    spec = monitor["spec"]
    (endpoint,) = spec["podMetricsEndpoints" if is_pods else "endpoints"]
    names = spec.get("namespaceSelector", {}).get("matchNames")
    discovery = {
        "role": "pod" if is_pods else "endpoints",
        "api_server": access.server,
        "authorization": {"credentials": access.token},
        "tls_config": tls(access),
        **({"namespaces": {"names": names}} if names else {}),
    }
    return {
        **limits(spec),
        "job_name": monitor["metadata"]["name"],
        "metrics_path": endpoint.get("path", "/metrics"),
        "honor_labels": endpoint.get("honorLabels", False),
        "kubernetes_sd_configs": [discovery],
        "relabel_configs": [*kept(spec, endpoint, is_pods=is_pods), *relabelled(endpoint)],
    }


def limits(spec: Document) -> dict[str, int]:
    """What a target may not exceed."""
    names = {
        "sampleLimit": "sample_limit",
        "labelLimit": "label_limit",
        "labelValueLengthLimit": "label_value_length_limit",
    }
    return {ours: spec[theirs] for theirs, ours in names.items() if theirs in spec}


def tls(access: ApiAccess) -> dict[str, Any]:
    """The API server's certificate, or none to check against."""
    return {"ca_file": access.ca_file} if access.ca_file else {"insecure_skip_verify": True}


def kept(spec: Document, endpoint: Document, *, is_pods: bool) -> list[dict[str, Any]]:
    """Relabel rules that keep what the selector and the port name mean."""
    role = "pod" if is_pods else "service"
    port = "pod_container_port_name" if is_pods else "endpoint_port_name"
    rules = [keep(f"{role}_label_{safe(k)}", v) for k, v in spec["selector"]["matchLabels"].items()]
    for expression in spec["selector"].get("matchExpressions", []):
        assert expression["operator"] == "Exists", "the tests know Exists alone"
        rules.append(keep(f"{role}_labelpresent_{safe(expression['key'])}", "true"))
    return [
        *rules,
        keep(port, endpoint["port"]),
        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
        {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
    ]


def keep(label: str, value: str) -> dict[str, Any]:
    """Targets whose label is the value."""
    return {"source_labels": [f"__meta_kubernetes_{label}"], "regex": value, "action": "keep"}


def safe(label: str) -> str:
    """A Kubernetes label as a Prometheus one."""
    return "".join(c if c.isalnum() else "_" for c in label)


def relabelled(endpoint: Document) -> list[dict[str, Any]]:
    """The monitor's own rules."""
    return [
        {"source_labels": rule["sourceLabels"], "target_label": rule["targetLabel"]}
        for rule in endpoint.get("relabelings", [])
    ]


@contextmanager
def running(config: Document, groups: Sequence[Document] = ()) -> Iterator[Prometheus]:
    """A Prometheus on a free loopback port, with these groups of rules; ended with the block."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="tunekeeper-prometheus-") as folder:
        path, rules = Path(folder) / "prometheus.yml", Path(folder) / "rules.yaml"
        rules.write_text(yaml.safe_dump({"groups": list(groups)}), encoding="utf-8")
        document = {**config, "rule_files": [str(rules)]}
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        path.chmod(0o600)
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(command(path, folder, port), stdout=log, stderr=log)  # noqa: S603
        try:
            server = Prometheus(f"http://127.0.0.1:{port}")
            wait_until(lambda: is_ready(server.address), READY_S, "Prometheus is ready")
            yield server
        finally:
            process.terminate()
            process.wait(20)


def command(config: Path, folder: str, port: int) -> list[str]:
    """The command line."""
    return [
        str(binary("prometheus")),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]


def is_ready(address: str) -> bool:
    """Whether it answers."""
    try:
        with urllib.request.urlopen(f"{address}/-/ready", timeout=1) as answer:  # noqa: S310 - ours
            return bool(answer.status == 200)
    except OSError:
        return False


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until(holds: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Look again until it holds.

    Raises:
        TimeoutError: it never did.
    """
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {timeout_s:g} s it is still not true that {what}")
        time.sleep(0.1)
