"""A release on a real API server, by helm itself: installed, upgraded, tested, uninstalled."""

import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders.api import a_base_model_document, a_job_document
from builders.operated import operated
from builders.policies import path_of
from cluster.api import Json
from cluster.helm import CHART, NAMESPACE, RELEASE, HelmFailed, archive, helm, package, render
from cluster.monitoring import monitoring_kinds
from cluster.plane import ControlPlane
from cluster.process import wait_until

FIRST = Path(__file__).parent / "tunekeeper-first.tgz"
"""The chart of the first commit that had one, as `helm package` made it."""
TEAMS = ("ml", "nlp")
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

FULL: Json = {
    "commonLabels": {"team": "platform"},
    "image": {"repository": "r.example/tunekeeper", "digest": f"sha256:{'a' * 64}"},
    "imagePullSecrets": [{"name": "pull"}],
    "trainer": {
        "image": {"repository": "r.example/trainer", "tag": "9"},
        "resources": {"requests": {"cpu": 4, "memory": "16Gi"}, "limits": {"memory": "16Gi"}},
        "cpuStageResources": {"requests": {"cpu": "1"}},
        "env": {"HF_ENDPOINT": "https://hub.example.com"},
        "pricePerGpuHour": "2.50",
    },
    "settings": {"maxConcurrentRuns": 20, "logLevel": "debug"},
    "replicas": 3,
    "podDisruptionBudget": {"maxUnavailable": "50%"},
    "serviceAccount": {"annotations": {"a": "b"}},
    "allowedImages": ["r.example/*"],
    "allowedServiceAccounts": ["trainer"],
    "allowedHosts": ["s3.example.com", "*.amazonaws.com"],
    "networkPolicy": {
        "enabled": True,
        "apiServer": [{"cidr": "10.0.0.1/32", "ports": [6443]}],
        "dns": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "dns"}}}],
        "metricsFrom": [{"namespaceSelector": {}}],
        "trainers": {
            "namespaces": list(TEAMS),
            "extraEgress": [{"to": [{"podSelector": {}}], "ports": [{"port": 9000}]}],
        },
    },
    "workloadIdentity": "gke",
    "metrics": {
        name: {"enabled": True, "labels": {"release": "prometheus"}}
        for name in ("serviceMonitor", "podMonitor", "dashboards")
    }
    | {"prometheusRule": {"enabled": True, "runbookBaseUrl": "https://git.example.com/runbooks/"}},
    "podLabels": {"a": "b"},
    "podAnnotations": {"a": "b"},
    "deploymentAnnotations": {"a": "b"},
    "tolerations": [{"key": "ops", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "system-cluster-critical",
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
}
SOME: Json = {"watchNamespaces": list(TEAMS), "networkPolicy": {"enabled": True}}
VALUES = [
    pytest.param({}, id="default"),
    pytest.param(FULL, id="full"),
    pytest.param(SOME, id="some namespaces"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    """An empty one, with the kinds of the Prometheus operator; the others' has rights already."""
    with ControlPlane() as plane:
        for name in (NAMESPACE, *TEAMS):
            modes = ("enforce", "warn")  # the second speaks of a Deployment's pods too
            labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in modes}
            body = {"metadata": {"name": name, "labels": labels}}
            plane.api.post("/api/v1/namespaces", body)
        for kind in monitoring_kinds():
            plane.api.post(CRDS, kind)
        yield plane


@pytest.mark.parametrize("values", VALUES)
def test_the_server_takes_every_object_that_is_rendered(
    cluster: ControlPlane, values: Json
) -> None:
    made = render(values, crds={"enabled": True})
    document = {"apiVersion": "v1", "kind": "List", "items": made.objects}
    dry = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
    said = cluster.kubectl(*dry, stdin=document)
    assert len(said.stdout.splitlines()) == len(made.objects)
    assert "Warning" not in said.stderr


class Release:
    """What a person does with helm, in short words."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self._plane = plane
        self._file = folder / "values.yaml"

    def helm(self, *arguments: str | Path) -> str:
        return helm(*arguments, "-n", NAMESPACE, kubeconfig=self._plane.kubeconfig)

    def put(self, chart: Path, **values: Any) -> str:
        """Install or upgrade."""
        self._file.write_text(yaml.safe_dump(values))
        given = ("--reset-values", "-f", self._file)
        return self.helm("upgrade", "--install", RELEASE, chart, *given)

    def notes(self, **values: Any) -> str:
        """What an install would say."""
        self._file.write_text(yaml.safe_dump(values))
        dry = ("install", RELEASE, archive(), "--dry-run=client", "-f", self._file)
        return self.helm(*dry).partition("NOTES:\n")[2]

    def remove(self) -> str:
        return self.helm("uninstall", RELEASE)

    def deployment(self) -> Json:
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/tunekeeper-controller"
        return self._plane.api.get(path)


@pytest.fixture
def release(cluster: ControlPlane, tmp_path: Path) -> Iterator[Release]:
    made = Release(cluster, tmp_path)
    yield made
    for line in made.helm("list", "-q").split():
        made.helm("uninstall", line)


def established(plane: ControlPlane) -> bool:
    """Whether both kinds can be written."""
    found = [
        plane.api.find(f"{CRDS}/{name}.tunekeeper.dev") for name in ("finetunejobs", "basemodels")
    ]
    return all(
        one
        and any(
            c["type"] == "Established" and c["status"] == "True"
            for c in one["status"].get("conditions", [])
        )
        for one in found
    )


def write_both(plane: ControlPlane) -> set[str]:
    """A job and a base model of somebody; their uids."""
    wait_until(lambda: established(plane), "the kinds are served")
    documents = (a_job_document("kept"), a_base_model_document("kept"))
    return {
        plane.api.post(path_of(one["kind"], TEAMS[0]), one)["metadata"]["uid"] for one in documents
    }


def uids(plane: ControlPlane) -> set[str]:
    paths = (path_of(kind, TEAMS[0]) for kind in ("FineTuneJob", "BaseModel"))
    return {one["metadata"]["uid"] for path in paths for one in plane.api.get(path)["items"]}


def clear(plane: ControlPlane) -> None:
    for kind in ("FineTuneJob", "BaseModel"):
        plane.api.delete(path_of(kind, TEAMS[0]))


def test_an_upgrade_from_the_first_chart_keeps_jobs_and_base_models(
    cluster: ControlPlane, release: Release, tmp_path: Path
) -> None:
    release.put(FIRST)
    kept = write_both(cluster)
    said = release.put(package(tmp_path, "99.0.0"))
    assert "Tunekeeper 99.0.0 works in every namespace" in said
    (container,) = release.deployment()["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "tunekeeper:99.0.0"
    assert uids(cluster) == kept
    clear(cluster)


def test_an_uninstall_keeps_the_crds_and_what_people_wrote_and_a_new_install_takes_them_over(
    cluster: ControlPlane, release: Release
) -> None:
    release.put(archive())
    kept = write_both(cluster)
    said = release.remove()
    assert "[CustomResourceDefinition] finetunejobs.tunekeeper.dev" in said
    assert established(cluster)
    assert uids(cluster) == kept
    release.put(archive())
    assert uids(cluster) == kept
    clear(cluster)


def test_crds_that_are_no_longer_asked_for_stay(cluster: ControlPlane, release: Release) -> None:
    release.put(archive())
    kept = write_both(cluster)
    release.put(archive(), crds={"enabled": False})
    assert uids(cluster) == kept
    clear(cluster)


def test_from_all_namespaces_to_some_and_back(cluster: ControlPlane, release: Release) -> None:
    def bound() -> bool:
        path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/tunekeeper-controller"
        return cluster.api.find(path) is not None

    release.put(archive())
    assert bound()
    release.put(archive(), **SOME)
    assert not bound()
    release.put(archive())
    assert bound()


def test_a_full_release_is_installed_and_leaves_nothing_but_the_crds(
    cluster: ControlPlane, release: Release
) -> None:
    release.put(archive(), **FULL)
    assert "deployment.apps/tunekeeper-controller" in owned(cluster)
    release.remove()
    assert set(owned(cluster)) == {
        "customresourcedefinition.apiextensions.k8s.io/basemodels.tunekeeper.dev",
        "customresourcedefinition.apiextensions.k8s.io/finetunejobs.tunekeeper.dev",
    }


def owned(plane: ControlPlane) -> list[str]:
    """What helm has made, of every kind that it makes."""
    kinds = {f"{one['kind']}" for one in render(FULL, crds={"enabled": True}).objects}
    label = "app.kubernetes.io/instance=tunekeeper,app.kubernetes.io/managed-by=Helm"
    said = plane.kubectl("get", ",".join(sorted(kinds)), "-A", "-l", label, "-o", "name")
    return said.stdout.split()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        pytest.param(
            {}, "The images have no registry in their names (tunekeeper:0.1.0)", id="name"
        ),
        pytest.param(
            {"networkPolicy": {"enabled": True}},
            "No NetworkPolicy was made for the stages' pods",
            id="no namespace for a policy",
        ),
        pytest.param({"crds": {"keep": False}}, "EVERY FineTuneJob and BaseModel", id="CRDs go"),
        pytest.param(
            {"metrics": {"prometheusRule": {"enabled": True}}},
            "Alerts link to docs/runbooks/<alert>.md",
            id="runbooks that no browser opens",
        ),
        pytest.param({"crds": {"enabled": False}}, "by other means", id="CRDs of others"),
    ],
)
def test_the_notes_warn(release: Release, values: Json, said: str) -> None:
    assert said in release.notes(**values)


def test_the_notes_of_a_full_release_warn_of_nothing(release: Release) -> None:
    notes = release.notes(**FULL)
    assert "helm test tunekeeper -n tunekeeper-system" in notes
    assert len(notes.strip().splitlines()) == 5


def test_a_bad_value_stops_an_install_before_anything_is_made(
    cluster: ControlPlane, release: Release
) -> None:
    with pytest.raises(HelmFailed, match="workloadIdentity"):
        release.put(archive(), workloadIdentity="aws")
    assert release.helm("list", "-q") == ""
    assert (
        cluster.api.find(f"/api/v1/namespaces/{NAMESPACE}/services/tunekeeper-controller") is None
    )


def asked(url: str) -> "subprocess.CompletedProcess[str]":
    """The container of `helm test`, run here against another address."""
    pod = render().one("Pod")
    (container,) = pod["spec"]["containers"]
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    program = [sys.executable, *container["command"][1:], *container["args"]]
    env = {**os.environ, "METRICS_URL": url, "WITHIN_SECONDS": "0"}
    return subprocess.run(  # noqa: S603 - the interpreter
        program, env=env, capture_output=True, text=True, timeout=30, check=False
    )


def test_the_test_of_a_release_passes_with_a_controller_and_fails_without(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        url = f"http://127.0.0.1:{desk.health_port}/metrics"
        passed = asked(url)
        assert passed.returncode == 0, passed.stdout + passed.stderr
        desk.stop()
        failed = asked(url)
    assert failed.returncode == 1
    assert "Connection refused" in failed.stdout


def test_the_test_of_a_release_asks_the_service_of_the_release() -> None:
    made = render()
    (container,) = made.one("Pod")["spec"]["containers"]
    url = {one["name"]: one["value"] for one in container["env"]}["METRICS_URL"]
    service = made.one("Service")
    name, (port,) = service["metadata"]["name"], service["spec"]["ports"]
    assert url == f"http://{name}.{NAMESPACE}.svc:{port['port']}/metrics"


def watch(age_s: float, resource: str = "jobs") -> str:
    return f'tunekeeper_watch_age_seconds{{resource="{resource}"}} {age_s}\n'


@pytest.mark.parametrize(
    ("page", "said"),
    [
        pytest.param(watch(3) + watch(89, "pods"), "", id="all are alive"),
        pytest.param("up 1\n", "no watch is open", id="another's page"),
        pytest.param(
            watch(3) + watch(91.5, "pods"), "not heard of for 90 s: pods", id="one is late"
        ),
    ],
)
def test_the_test_of_a_release_looks_at_the_watches(page: str, said: str) -> None:
    assert runpy.run_path(str(CHART / "files" / "test.py"))["trouble"](page) == said
