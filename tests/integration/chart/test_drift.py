"""Chart and manifests install the same, but for what each of them says of itself."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster.helm import NAMESPACE, render
from cluster.plane import ControlPlane

from controller.api.crd import crd_documents
from controller.settings import read_settings

ROOT = Path(__file__).parents[3]
MANIFESTS = ROOT / "manifests"
TENANT = "ml"
EVERYTHING = {
    "crds": {"enabled": True, "keep": False},
    "networkPolicy": {"enabled": True, "trainers": {"namespaces": [TENANT]}},
    "metrics": {
        name: {"enabled": True}
        for name in ("serviceMonitor", "podMonitor", "prometheusRule", "dashboards")
    },
}
HELMS = ("app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "app.kubernetes.io/version")
Objects = dict[tuple[str, str, str], dict[str, Any]]


def kustomized(plane: ControlPlane, folder: str, namespace: str = "") -> Objects:
    """What `kubectl kustomize` makes of a folder of manifests/."""
    text = plane.kubectl("kustomize", MANIFESTS / folder).stdout
    made = [one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one]
    for one in made:
        if namespace:
            one["metadata"]["namespace"] = namespace
    return keyed(made)


def keyed(objects: list[dict[str, Any]]) -> Objects:
    plain = [normalised(copy.deepcopy(one)) for one in objects]
    return {
        (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]): one
        for one in plain
    }


def normalised(document: dict[str, Any]) -> dict[str, Any]:
    """Without helm's labels; the environment as the controller reads it."""
    strip(document)
    if document["kind"] == "Deployment":
        (container,) = document["spec"]["template"]["spec"]["containers"]
        told = {one["name"]: one.get("value", NAMESPACE) for one in container.pop("env")}
        document["settings"] = read_settings([], told)
        # the default of a tag that is not `latest`
        assert container.pop("imagePullPolicy", "IfNotPresent") == "IfNotPresent"
    if document["kind"] == "CustomResourceDefinition":
        document["metadata"].pop("labels", None)
    if document["kind"] in {"PodMonitor", "ServiceMonitor", "PrometheusRule", "ConfigMap"}:
        document["metadata"]["labels"].pop("app.kubernetes.io/name", None)
    return document


def strip(part: Any) -> None:
    """In place, wherever labels stand; a pod of a stage is known by managed-by too."""
    if isinstance(part, list):
        for one in part:
            strip(one)
    elif isinstance(part, dict):
        is_of_stages = part.get("app.kubernetes.io/managed-by") == "tunekeeper"
        for label in () if is_of_stages else (*HELMS, "helm.sh/chart"):
            part.pop(label, None)
        for one in part.values():
            strip(one)


@pytest.fixture(scope="module")
def chart() -> Objects:
    made = [one for one in render(EVERYTHING).objects if "helm.sh/hook" not in str(one["metadata"])]
    return keyed(made)


@pytest.fixture(scope="module")
def manifests(plane: ControlPlane) -> Objects:
    folders = [kustomized(plane, folder) for folder in ("default", "monitoring", "network")]
    tenant = kustomized(plane, "network/tenant", TENANT)
    return {key: one for part in (*folders, tenant) for key, one in part.items()}


def test_both_make_the_same_objects_but_the_namespace(chart: Objects, manifests: Objects) -> None:
    assert manifests.keys() - chart.keys() == {("Namespace", "", NAMESPACE)}
    assert chart.keys() - manifests.keys() == set()


def test_each_object_is_the_same(chart: Objects, manifests: Objects) -> None:
    for key in chart:
        assert chart[key] == manifests[key], key


def test_in_some_namespaces_the_rights_are_those_of_the_manifests(plane: ControlPlane) -> None:
    made = keyed(render(watchNamespaces=[TENANT]).objects)
    theirs = kustomized(plane, "namespaced/tenant", TENANT)
    assert {key: made[key] for key in made if key[1] == TENANT} == theirs


def test_the_crds_of_the_chart_are_those_of_the_types() -> None:
    made = render(EVERYTHING).of("CustomResourceDefinition")
    specs = {one["metadata"]["name"]: one["spec"] for one in made}
    assert specs == {one["metadata"]["name"]: one["spec"] for one in crd_documents()}


def test_nothing_that_is_taken_from_the_manifests_names_their_namespace() -> None:
    made = render(EVERYTHING, fullnameOverride="other")
    for kind in ("PrometheusRule", "PodMonitor", "ConfigMap"):
        document = made.one(kind)
        del document["metadata"]
        assert NAMESPACE not in str(document)
