"""One job from its start to its end, and what could be seen of it on the way."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml
from cluster import dashboards, prometheus
from cluster.dashboards import Query
from cluster.plane import ControlPlane
from cluster.prometheus import ApiAccess, Prometheus
from e2e.installation import ROOT
from e2e.sample import Sample
from e2e.tenant import LOOK_PERIOD_S, Status, is_finished

MONITORING = ROOT / "manifests" / "monitoring"
MONITORS = ("podmonitor.yaml", "servicemonitor.yaml")
BASE_MODEL = "tiny"
SCRAPED_WITHIN_S = 30
ENDS_WITHIN_S = 900
PEAK = [{"name": "DEVICE_PEAK_FLOPS", "value": "1000000000000"}]
"""No CPU is in the table of peaks."""


@dataclass(frozen=True)
class Story:
    """What was seen."""

    sample: Sample
    job: str
    statuses: list[Status]
    unanswered: list[Query]
    """Queries of the dashboards that never returned anything."""

    @property
    def end(self) -> Status:
        """The last status."""
        return self.statuses[-1]


def told(sample: Sample, job: str, server: Prometheus) -> Story:
    """Apply a job on a BaseModel and look at it, and at every dashboard, until it is finished."""
    values = {"namespace": sample.tenant.namespace, "finetunejob": job}
    sample.tenant.apply(sample.base_model(BASE_MODEL))
    document = sample.job(job, sample.data())
    document["spec"] |= {"baseModel": {"name": BASE_MODEL}, "budget": {"pricePerGpuHour": "2.50"}}
    compute = document["spec"]["compute"]
    document["spec"]["compute"] = {**compute, "env": [*compute["env"], *PEAK]}
    sample.tenant.apply(document)
    story = Story(sample, job, [], list(every_query()))
    for status in sample.tenant.looks(job, ENDS_WITHIN_S):
        story.statuses.append(status)
        look(server, story.unanswered, values)
        if is_finished(status):
            break
    deadline = time.monotonic() + SCRAPED_WITHIN_S
    while story.unanswered and time.monotonic() < deadline:
        time.sleep(LOOK_PERIOD_S)
        look(server, story.unanswered, values)
    return story


def every_query() -> Iterator[Query]:
    """Of every dashboard; but nobody here exports GPUs (tests/integration/test_dashboards.py)."""
    for path in sorted((MONITORING / "dashboards").glob("*.json")):
        for query in dashboards.queries(dashboards.load(path)):
            if "DCGM" not in query.expression:
                yield query


def look(server: Prometheus, unanswered: list[Query], values: Mapping[str, str]) -> None:
    """Strike out the queries that return something now."""
    for query in list(unanswered):
        if server.query(dashboards.filled(query.expression, values)):
            unanswered.remove(query)


def scrape_config(plane: ControlPlane) -> dict[str, object]:
    """What the project's own monitors ask for, with the rights of a reader."""
    plane.kubectl("create", "serviceaccount", "prometheus", "-n", "default")
    reader = ("--clusterrole=view", "--serviceaccount=default:prometheus")
    plane.kubectl("create", "clusterrolebinding", "prometheus", *reader)
    access = ApiAccess(plane.url, plane.token_for("prometheus"), str(plane.ca_file))
    monitors = [yaml.safe_load((MONITORING / name).read_text()) for name in MONITORS]
    return prometheus.scrape_config(monitors, access)
