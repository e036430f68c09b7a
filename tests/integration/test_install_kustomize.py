"""The kustomizations of docs/install.md and what it does with them, as they stand there."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.monitoring import monitoring_kinds
from cluster.plane import ControlPlane

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
WHOLE = PAGE.partition("### With kustomize\n")[2].partition("\n### ")[0]
SOME = PAGE.partition("### In some namespaces only\n")[2].partition("\n## ")[0]
UNINSTALL = PAGE.partition("## Uninstall\n")[2].partition("With kustomize:\n")[2]
DRY = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-k", ".")


def put(folder: Path, section: str) -> None:
    """The files of a section, each under the name in its first line, beside the manifests."""
    if not (folder / "manifests").exists():
        shutil.copytree(ROOT / "manifests", folder / "manifests")
    for name, text in re.findall(r"```yaml\n# (\S+)\n(.*?)```", section, re.DOTALL):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def shown(section: str, command: str) -> list[str]:
    """What the page says that a command says."""
    (said,) = re.findall(rf"```console\n\$ {re.escape(command)}\n(.*?)```", section, re.DOTALL)
    return str(said).splitlines()


def commands(section: str) -> list[list[str]]:
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [shlex.split(line, comments=True) for line in block.splitlines()]


@pytest.fixture
def cluster() -> Iterator[ControlPlane]:
    """A new one, with two teams and the kinds of the Prometheus operator."""
    with ControlPlane() as plane:
        for team in ("ml", "nlp"):
            plane.api.post("/api/v1/namespaces", {"metadata": {"name": team}})
        for kind in monitoring_kinds():
            plane.kubectl("apply", "--server-side", "-f", "-", stdin=kind)
        yield plane


def test_the_page_installs_shows_and_uninstalls(
    cluster: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path, WHOLE)
    rendered = cluster.kubectl("kustomize", ".").stdout.splitlines()
    images = shown(WHOLE, "kubectl kustomize . | grep registry.example.com")
    assert [line for line in rendered if "registry.example.com" in line] == images
    said = cluster.kubectl("apply", "-k", ".").stdout.splitlines()
    assert said == shown(WHOLE, "kubectl apply -k .")
    for part in ("network", "monitoring"):
        cluster.kubectl("apply", "-k", f"manifests/{part}")
    for words in commands(UNINSTALL):
        cluster.kubectl(*words[1:])
    assert cluster.kubectl("get", "-k", ".", "--ignore-not-found", "-o", "name").stdout == ""


def test_the_page_gives_a_role_in_each_namespace_only(
    cluster: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cluster.kubectl("apply", "-k", str(ROOT / "manifests" / "default"))
    put(tmp_path, SOME)
    said = cluster.kubectl(*DRY).stdout
    assert (
        said.count("role.rbac.authorization.k8s.io/tunekeeper-controller serverside-applied") == 2
    )
    assert "clusterrole.rbac.authorization.k8s.io/tunekeeper-controller" not in said
    assert "value: ml,nlp" in cluster.kubectl("kustomize", ".").stdout
