"""Every kustomization in manifests/ works with `kubectl apply -k`, on a real API server."""

import shutil
from pathlib import Path

import pytest
import yaml
from builders import lives
from cluster.api import Json
from cluster.plane import ControlPlane

MANIFESTS = Path(__file__).parents[2] / "manifests"
SAMPLES = MANIFESTS / "samples"
MONITORING = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
KINDS = "finetunejobs.tunekeeper.dev,basemodels.tunekeeper.dev"
"""By their whole names: other tests have kinds of the same plural in other groups."""
DRY = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-k")


def rendered(plane: ControlPlane, folder: Path) -> list[Json]:
    """What kustomize makes of a folder."""
    return list(yaml.safe_load_all(plane.kubectl("kustomize", folder).stdout))


@pytest.mark.parametrize("folder", ["crd", "rbac", "controller", "default", "namespaced"])
def test_an_installation_can_be_applied(plane: ControlPlane, folder: str) -> None:
    told = plane.kubectl(*DRY, MANIFESTS / folder).stdout
    assert told.count("serverside-applied") == len(rendered(plane, MANIFESTS / folder))


def test_the_default_is_what_its_bases_are(plane: ControlPlane) -> None:
    folder = MANIFESTS / "default"
    bases = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    parts = [one for base in bases for one in rendered(plane, folder / base)]
    assert sorted(map(named, rendered(plane, folder))) == sorted(map(named, parts))


def named(document: Json) -> tuple[str, str, str]:
    metadata = document["metadata"]
    return document["kind"], metadata.get("namespace", ""), metadata["name"]


def test_namespaced_is_the_default_without_the_controllers_cluster_role(
    plane: ControlPlane,
) -> None:
    default = {named(one) for one in rendered(plane, MANIFESTS / "default")}
    fewer = {named(one) for one in rendered(plane, MANIFESTS / "namespaced")}
    kinds = ("ClusterRole", "ClusterRoleBinding")
    assert default - fewer == {(kind, "", "tunekeeper-controller") for kind in kinds}
    assert fewer <= default


def test_the_samples_are_applied_and_answered_by_their_names(
    plane: ControlPlane, namespace: str
) -> None:
    for example in sorted(SAMPLES.glob("*.example.yaml")):
        plane.kubectl("apply", "-n", namespace, "-f", example)
    plane.kubectl("apply", "-n", namespace, "-k", SAMPLES)
    made = plane.kubectl("get", KINDS, "-n", namespace, "-o", "name").stdout.split()
    wanted = [one["metadata"]["name"] for one in rendered(plane, SAMPLES)]
    assert sorted(name.partition("/")[2] for name in made) == sorted(wanted)
    again = plane.kubectl("apply", "-n", namespace, "-k", SAMPLES).stdout
    assert again.count("unchanged") == len(wanted)


def test_monitoring_renders_and_what_needs_no_other_operator_is_applied(
    plane: ControlPlane,
) -> None:
    parts = rendered(plane, MANIFESTS / "monitoring")
    others = [one for one in parts if one["apiVersion"].startswith("monitoring.coreos.com/")]
    assert {one["kind"] for one in others} == MONITORING
    for one in parts:
        if one not in others:
            plane.kubectl(*DRY[:-1], "-f", "-", stdin=one)


# As docs/gitops.md shows it: Argo CD's own ConfigMap names no namespace.
ARGO_CD = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  labels: {app.kubernetes.io/part-of: argocd}
data: {url: https://argocd.example.com}
"""


def test_the_component_gives_argo_cd_a_check_for_each_kind(
    plane: ControlPlane, tmp_path: Path
) -> None:
    shutil.copytree(MANIFESTS, tmp_path / "tunekeeper" / "manifests")
    page = (MANIFESTS.parent / "docs" / "gitops.md").read_text(encoding="utf-8")
    shown = page.partition("```yaml\n# kustomization.yaml\n")[2].partition("```")[0]
    (tmp_path / "kustomization.yaml").write_text(shown, encoding="utf-8")
    (tmp_path / "install.yaml").write_text(ARGO_CD, encoding="utf-8")
    [config] = rendered(plane, tmp_path)
    assert named(config) == ("ConfigMap", "argocd", "argocd-cm")
    assert config["data"].pop("url") == "https://argocd.example.com"
    assert config["data"] == {
        f"resource.customizations.health.tunekeeper.dev_{kind}": script(kind)
        for kind in ("FineTuneJob", "BaseModel")
    }


def script(kind: str) -> str:
    return (lives.CHECKS / kind / "health.lua").read_text(encoding="utf-8")
