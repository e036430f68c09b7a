"""What `kubectl apply -k manifests/default` installs hangs together."""

import dataclasses
import tomllib
from pathlib import Path

import pytest
import yaml

from controller.settings import OperatorSettings, env_of, read_settings

ROOT = Path(__file__).parents[3]
MANIFESTS = ROOT / "manifests"
INSTALLED = ("crd", "rbac", "controller", "admission")
NAMESPACE = "tunekeeper-system"
NAME = "tunekeeper-controller"


def documents(folder):
    """Every object below a directory; kustomize's own files are none."""
    paths = sorted((MANIFESTS / folder).glob("*.yaml"))
    texts = [path.read_text() for path in paths if path.name != "kustomization.yaml"]
    return [document for text in texts for document in yaml.safe_load_all(text)]


def one(kind):
    """The only object of the kind that is installed."""
    [found] = [d for folder in INSTALLED for d in documents(folder) if d["kind"] == kind]
    return found


def pod():
    return one("Deployment")["spec"]["template"]["spec"]


def container():
    [found] = pod()["containers"]
    return found


def environment():
    return {entry["name"]: entry.get("value") for entry in container()["env"]}


def kustomization(folder):
    return yaml.safe_load((MANIFESTS / folder / "kustomization.yaml").read_text())


FILES = {str(path.relative_to(MANIFESTS)): path for path in sorted(MANIFESTS.rglob("*.yaml"))}
LISTING = (
    *INSTALLED,
    "monitoring",
    "namespaced/tenant",
    "network",
    "network/tenant",
    "samples",
    "samples/namespaced/ml",
    "samples/namespaced/nlp",
)


@pytest.mark.parametrize("path", FILES.values(), ids=FILES)
def test_every_file_holds_objects(path):
    documents = list(yaml.safe_load_all(path.read_text()))
    assert documents
    assert all(isinstance(document, dict) for document in documents)


@pytest.mark.parametrize("folder", LISTING)
def test_a_kustomization_lists_every_file_but_examples(folder):
    there = {path.name for path in (MANIFESTS / folder).glob("*.yaml")}
    listed = {name for name in kustomization(folder)["resources"] if "/" not in name}
    assert there - listed == {"kustomization.yaml"} | {
        name for name in there if name.endswith(".example.yaml")
    }
    assert listed <= there


def test_default_is_what_a_cluster_needs():
    assert kustomization("default")["resources"] == [f"../{folder}" for folder in INSTALLED]


def test_both_images_get_the_version_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    images = {image["name"]: image["newTag"] for image in kustomization("default")["images"]}
    assert images == dict.fromkeys(("tunekeeper", "tunekeeper-trainer"), project["version"])


def test_the_settings_name_the_images_that_kustomize_replaces():
    named = {environment()[env_of(name)] for name in ("image", "trainer_image")}
    assert named == {image["name"] for image in kustomization("default")["images"]}
    assert container()["image"] == environment()["TUNEKEEPER_IMAGE"]
    [rule] = yaml.safe_load((MANIFESTS / "default/image-settings.yaml").read_text())["images"]
    assert rule == {"kind": "Deployment", "path": "spec/template/spec/containers[]/env[]/value"}


def test_the_deployment_sets_only_settings_that_exist():
    known = {env_of(field.name) for field in dataclasses.fields(OperatorSettings)}
    assert set(environment()) <= known


def test_the_settings_of_the_deployment_can_be_used():
    fields = {name: value or NAMESPACE for name, value in environment().items()}
    settings = read_settings([], fields)
    assert settings.namespace == NAMESPACE


def test_ports_are_those_the_controller_listens_on():
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    defaults = OperatorSettings()
    addresses = {"metrics": defaults.metrics_address, "health": defaults.health_address}
    assert ports == {name: int(text.rpartition(":")[2]) for name, text in addresses.items()}


def test_probes_and_service_ask_ports_that_are_there():
    names = {port["name"] for port in container()["ports"]}
    probes = [container()[f"{when}Probe"]["httpGet"] for when in ("startup", "liveness")]
    assert {probe["path"] for probe in probes} == {"/healthz"}
    assert container()["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}
    assert {probe["port"] for probe in probes} <= names
    [port] = one("Service")["spec"]["ports"]
    assert port["targetPort"] in names


def test_selectors_find_the_pod():
    labels = one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert one("Deployment")["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert one("Service")["spec"]["selector"].items() <= labels.items()


def test_a_spare_is_ready_before_a_leader_goes_by_rollout_or_drain():
    spec, budget = one("Deployment")["spec"], one("PodDisruptionBudget")["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert budget["maxUnavailable"] == 1
    assert budget["selector"]["matchLabels"].items() <= labels.items()


def test_replicas_stay_apart_where_there_is_room_and_start_where_there_is_none():
    labels = one("Deployment")["spec"]["template"]["metadata"]["labels"]
    spread = pod()["topologySpreadConstraints"]
    keys = [rule["topologyKey"] for rule in spread]
    assert keys == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    for rule in spread:
        assert rule["whenUnsatisfiable"] == "ScheduleAnyway"
        assert rule["labelSelector"]["matchLabels"].items() <= labels.items()


def test_the_service_monitor_finds_the_service():
    [monitor] = [d for d in documents("monitoring") if d["kind"] == "ServiceMonitor"]
    service = one("Service")
    assert (
        monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    )
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": [NAMESPACE]}
    assert {e["port"] for e in monitor["spec"]["endpoints"]} <= {
        port["name"] for port in service["spec"]["ports"]
    }


def test_the_pod_passes_restricted_pod_security():
    labels = one("Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert pod()["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def test_the_only_writable_place_is_tmp_in_an_empty_directory():
    [mount] = container()["volumeMounts"]
    [volume] = pod()["volumes"]
    assert (mount["mountPath"], mount["name"]) == ("/tmp", volume["name"])  # noqa: S108 - of the pod
    assert set(volume) == {"name", "emptyDir"}


def test_everything_of_a_namespace_is_in_ours():
    spaced = [d for f in INSTALLED for d in documents(f) if "namespace" in d["metadata"]]
    assert {d["metadata"]["namespace"] for d in spaced} == {NAMESPACE}
    assert {d["kind"] for d in spaced} == {
        "Deployment",
        "PodDisruptionBudget",
        "Role",
        "RoleBinding",
        "Service",
        "ServiceAccount",
    }
    assert one("Namespace")["metadata"]["name"] == NAMESPACE


def test_the_pod_runs_as_the_account_that_is_installed():
    assert pod()["serviceAccountName"] == one("ServiceAccount")["metadata"]["name"] == NAME
