"""The commands of docs/install.md that install the chart, run as they stand there."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders.api import a_job_document
from builders.docpages import is_shown
from builders.policies import path_of
from cluster.api import Json
from cluster.helm import NAMESPACE, archive, helm
from cluster.monitoring import monitoring_kinds
from cluster.plane import ControlPlane
from cluster.process import wait_until

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("### With Helm\n")[2].partition("\n### ")[0]
README = (ROOT / "README.md").read_text(encoding="utf-8")
(README_SAYS,) = re.findall(r"```text\n(NAME: tunekeeper\n.*?)```", README, re.DOTALL)
UNINSTALL = PAGE.partition("## Uninstall\n")[2].partition("With kustomize")[0]
TEAMS = ("ml", "nlp")
GONE_WITHIN_S = 30
STAGES_POLICY = "/apis/networking.k8s.io/v1/namespaces/ml/networkpolicies/tunekeeper-stages"


def commands(section: str) -> list[list[str]]:
    """Every command, as a shell would split it."""
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines]


def command(start: str, *, taking_over: bool = False) -> list[str]:
    """The only one of the section on helm that begins so."""
    found = [one for one in commands(SECTION) if shlex.join(one).startswith(start)]
    (only,) = [one for one in found if ("--take-ownership" in one) is taking_over]
    return only


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands are run: the archive of `make package`, and the file of values."""
    (tmp_path / "dist").mkdir()
    shutil.copy(archive(), tmp_path / "dist")
    (values,) = re.findall(r"```yaml\n# values.yaml\n(.*?)```", SECTION, re.DOTALL)
    (tmp_path / "values.yaml").write_text(values, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cluster() -> Iterator[ControlPlane]:
    """A new one, with two teams and the kinds of the Prometheus operator."""
    with ControlPlane() as plane:
        for team in TEAMS:
            plane.api.post("/api/v1/namespaces", {"metadata": {"name": team}})
        for kind in monitoring_kinds():
            plane.kubectl("apply", "--server-side", "-f", "-", stdin=kind)
        yield plane


def run(plane: ControlPlane, words: list[str]) -> str:
    if words[0] == "helm":
        return helm(*words[1:], kubeconfig=plane.kubeconfig)
    return plane.kubectl(*words[1:]).stdout


def deployment(plane: ControlPlane) -> Json:
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/tunekeeper-controller"
    return plane.api.get(path)


def image(plane: ControlPlane) -> str:
    (container,) = deployment(plane)["spec"]["template"]["spec"]["containers"]
    return str(container["image"])


def test_the_page_installs_upgrades_and_uninstalls(cluster: ControlPlane, folder: Path) -> None:
    assert folder.is_dir()
    said = run(cluster, command("helm install"))
    assert "STATUS: deployed" in said
    assert is_shown(README_SAYS, said) == []
    assert image(cluster) == "registry.example.com/ml/tunekeeper:0.1.0"
    said = run(cluster, command("helm upgrade"))
    assert "works in the namespaces ml, nlp" in said
    policy = cluster.api.get(STAGES_POLICY)
    assert {
        to["ipBlock"]["cidr"] for rule in policy["spec"]["egress"] for to in rule.get("to", ())
    } == {
        "10.20.0.0/16",
        "10.30.0.5/32",
    }
    for each in commands(UNINSTALL):
        run(cluster, each)
    # Discovery forgets a group a moment after its CRDs.
    wait_until(lambda: "tunekeeper.dev" not in groups(cluster), "our kinds are gone", GONE_WITHIN_S)


def groups(plane: ControlPlane) -> set[str]:
    return {one["name"] for one in plane.api.get("/apis")["groups"]}


def test_the_readme_installs_as_the_page_does() -> None:
    on_a_cluster = README.partition("## On a cluster\n")[2].partition("\n## ")[0]
    assert command("helm install") in commands(on_a_cluster)


def test_the_page_leads_from_kustomize_to_the_chart_and_keeps_jobs(
    cluster: ControlPlane, folder: Path
) -> None:
    cluster.kubectl("apply", "-k", ROOT / "manifests" / "default")
    crd = "crd/finetunejobs.tunekeeper.dev"
    cluster.kubectl("wait", "--for=condition=Established", crd, "--timeout=30s")
    kept = cluster.api.post(path_of("FineTuneJob", TEAMS[0]), a_job_document("kept"))
    run(cluster, command("kubectl"))
    run(cluster, command("helm install", taking_over=True))
    assert folder.joinpath("values.yaml").is_file()
    path = f"{path_of('FineTuneJob', TEAMS[0])}/kept"
    assert cluster.api.get(path)["metadata"]["uid"] == kept["metadata"]["uid"]
    assert image(cluster) == "registry.example.com/ml/tunekeeper:0.1.0"
