"""Jobs on a real cluster under a real Prometheus: what the dashboards and their picture show.

Operator, API server, object store, Git server and every stage are real; the stages are processes
that are scraped as their pods, found and labelled as the PodMonitor says. Only the GPUs' exporter
is played.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from builders.circle import Circle, opened
from builders.operated import Desk
from builders.releases import BASE, JOB, TUNING, a_job, an_object
from cluster import prometheus
from cluster.api import Json
from cluster.dcgm import exporting
from cluster.plane import ControlPlane
from cluster.pod import LABEL
from cluster.process import wait_until
from cluster.prometheus import ApiAccess, Prometheus
from e2e.objects import DATA

MONITORING = Path(__file__).parents[2] / "manifests" / "monitoring"
GROUPS = yaml.safe_load((MONITORING / "prometheusrule.yaml").read_text())["spec"]["groups"]
BROKEN = "broken"
PEAK = "1000000000000"
"""As if one of these cores did 1 TFLOP/s: no CPU is in the table of peaks."""
SCRAPED_WITHIN_S = 60.0


@dataclass(frozen=True)
class Monitored:
    """The people's places, and the Prometheus that saw it all."""

    circle: Circle
    desk: Desk
    server: Prometheus
    started_s: float
    metrics_url: str
    """Of the operator."""

    @property
    def values(self) -> dict[str, str]:
        """Of the dashboards' variables."""
        return {"namespace": self.circle.namespace, "finetunejob": JOB}

    def history(self, expression: str, step_s: float = 1.0) -> list[Any]:
        """The matrix of the whole story."""
        return self.server.query_range(expression, self.started_s, time.time(), step_s)

    def now(self, expression: str) -> list[Any]:
        """The vector of this moment."""
        return self.server.query(expression)


@contextmanager
def monitored(plane: ControlPlane, namespace: str, folder: Path) -> Iterator[Monitored]:
    """Everybody at work, and scraped each second."""
    address = f"127.0.0.1:{prometheus.free_port()}"  # kept when the operator starts anew
    with (
        opened(plane, namespace, folder, metrics_address=address) as circle,
        exporting(lambda: trainers(circle)) as gpus,
    ):
        assert circle.desk is not None
        ports = {"operator": address, "dcgm": f"127.0.0.1:{gpus}"}
        config = scraping(namespace, reader(plane, namespace), ports)
        with prometheus.running(config, GROUPS) as server:
            yield Monitored(circle, circle.desk, server, time.time(), f"http://{address}/metrics")


def trainers(circle: Circle) -> list[tuple[str, str]]:
    """The pods that would hold a GPU."""
    path = f"/api/v1/namespaces/{circle.namespace}/pods?labelSelector={LABEL}/stage=train"
    pods = circle.plane.api.get(path)["items"]
    running = [pod for pod in pods if pod["status"].get("phase") == "Running"]
    return [(circle.namespace, pod["metadata"]["name"]) for pod in running]


def reader(plane: ControlPlane, namespace: str) -> ApiAccess:
    """A login that may list the pods of the namespace, and no more."""
    plane.kubectl("create", "serviceaccount", "prometheus", "-n", namespace)
    who = ("--clusterrole=view", f"--serviceaccount={namespace}:prometheus")
    plane.kubectl("create", "rolebinding", "prometheus", "-n", namespace, *who)
    return ApiAccess(plane.url, plane.token_for("prometheus", namespace), str(plane.ca_file))


def scraping(namespace: str, access: ApiAccess, targets: Mapping[str, str]) -> dict[str, Any]:
    """The PodMonitor as it is, in one namespace; the others by their address.

    The operator's ServiceMonitor honors labels; the one of dcgm-exporter's own chart does not.
    """
    monitor = yaml.safe_load((MONITORING / "podmonitor.yaml").read_text())
    monitor["spec"]["namespaceSelector"] = {"matchNames": [namespace]}
    config = prometheus.scrape_config([monitor], access)
    config["scrape_configs"] += [
        {
            "job_name": name,
            "honor_labels": name == "operator",
            "static_configs": [
                {"targets": [address], "labels": {"pod": name, "namespace": "tunekeeper-system"}}
            ],
        }
        for name, address in targets.items()
    ]
    config["global"]["evaluation_interval"] = "2s"
    return config


def two_runs(monitored: Monitored, *, epochs: int = 20) -> None:
    """A job is trained, its base model moves, it is trained again; another one has bad data.

    Trained so long that a scrape each second sees it on a fast machine, too.
    """
    circle = monitored.circle
    circle.publisher.first()
    objects = [an_object("BaseModel", BASE, circle.base_spec()), a_job(followed(circle, epochs))]
    put(circle, *objects, a_job(unusable(circle), BROKEN))
    circle.finished(1)
    circle.publisher.train_more()
    circle.ask_to_look("there is a new one")
    circle.finished(2)
    wait_until(lambda: is_seen(monitored), "the end is scraped", SCRAPED_WITHIN_S)


def followed(circle: Circle, epochs: int) -> Json:
    """A job that follows its base model, with a price and a peak."""
    spec = circle.job_spec()
    spec["compute"]["env"] += [{"name": "DEVICE_PEAK_FLOPS", "value": PEAK}]
    return {
        **spec,
        "training": {**TUNING["training"], "epochs": epochs},
        "baseModel": {"name": BASE},
        "retrain": {"policy": "Auto", "minPeriodSeconds": 0},
        "budget": {"pricePerGpuHour": "2.50", "currency": "EUR"},
    }


def unusable(circle: Circle) -> Json:
    """A job whose rows have no answers."""
    spec = circle.job_spec()
    place = f"{circle.namespace}/broken.jsonl"
    uri = circle.objects.put(DATA, place, b'{"prompt": "a question"}\n' * 40)
    spec["dataset"]["train"]["uri"] = uri
    spec["output"]["uri"] += "-broken"
    return {**spec, "baseModel": {"name": BASE}}


def put(circle: Circle, *documents: Json) -> None:
    """What a person applies."""
    text = yaml.safe_dump_all(documents)
    circle.plane.kubectl("apply", "-n", circle.namespace, "-f", "-", stdin=text)


def is_seen(monitored: Monitored) -> bool:
    """Whether the last figures of both jobs were scraped."""
    jobs = f'namespace="{monitored.circle.namespace}",finetunejob'
    ends = {JOB: "Succeeded", BROKEN: "Failed"}
    return all(
        monitored.now(f'tunekeeper_job_phase{{{jobs}="{name}",phase="{phase}"}} == 1')
        for name, phase in ends.items()
    )
