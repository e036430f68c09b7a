"""The chart, packed and rendered by helm itself, and helm against a control plane."""

import atexit
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from cluster.api import Json
from cluster.assets import binary

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "tunekeeper"
RELEASE, NAMESPACE = "tunekeeper", "tunekeeper-system"
TIMEOUT_S = 120


class HelmFailed(Exception):  # noqa: N818 - says what happened
    """It exited with another code than 0; what it said."""


def helm(*arguments: str | Path, kubeconfig: Path | None = None) -> str:
    """Run helm, with no home of anybody's; what it wrote to standard output.

    Raises:
        HelmFailed: with what it said.
    """
    return _run(arguments, kubeconfig).stdout


def helm_aloud(*arguments: str | Path) -> str:
    """The same with what it wrote to standard error; of registries it speaks there."""
    ended = _run(arguments, None)
    return ended.stderr + ended.stdout


def _run(
    arguments: Sequence[str | Path], kubeconfig: Path | None
) -> "subprocess.CompletedProcess[str]":
    with tempfile.TemporaryDirectory(prefix="tunekeeper-helm-") as home:
        homes = {f"HELM_{kind}_HOME": home for kind in ("CACHE", "CONFIG", "DATA")}
        env = os.environ | homes | {"KUBECONFIG": str(kubeconfig or os.devnull)}
        ended = subprocess.run(  # noqa: S603 - helm
            [binary("helm"), *map(str, arguments)],
            env=env,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    if ended.returncode:
        raise HelmFailed(f"helm {' '.join(map(str, arguments))}: {ended.stderr}{ended.stdout}")
    return ended


def package(folder: Path, version: str = "") -> Path:
    """The archive that people install."""
    versions = ("--version", version, "--app-version", version) if version else ()
    said = helm("package", CHART, "--destination", folder, *versions)
    return Path(said.rpartition(": ")[2].strip())


@lru_cache
def archive() -> Path:
    """The same, packed once for all tests."""
    folder = Path(tempfile.mkdtemp(prefix="tunekeeper-chart-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return package(folder)


@dataclass(frozen=True)
class Rendered:
    """What a release would make."""

    objects: list[Json]

    def of(self, kind: str) -> list[Json]:
        """The objects of a kind."""
        return [one for one in self.objects if one["kind"] == kind]

    def one(self, kind: str, name: str = "") -> Json:
        """The only object of a kind, or the one of that name."""
        (found,) = [one for one in self.of(kind) if name in ("", one["metadata"]["name"])]
        return found

    def pod(self) -> Json:
        """The controller's."""
        return dict(self.one("Deployment")["spec"]["template"]["spec"])

    def environment(self) -> dict[str, str]:
        """Of the controller, with the namespace that the pod is told."""
        (container,) = self.pod()["containers"]
        return {one["name"]: one.get("value", NAMESPACE) for one in container["env"]}


def render(values: Json | None = None, **more: Any) -> Rendered:
    """`helm template` with these values, the CRDs left out unless asked for."""
    given = {"crds": {"enabled": False}, **(values or {}), **more}
    with tempfile.NamedTemporaryFile("w", suffix=".json", prefix="tunekeeper-values-") as file:
        json.dump(given, file)
        file.flush()
        text = helm("template", RELEASE, archive(), "-n", NAMESPACE, "-f", file.name)
    documents = yaml.load_all(text, Loader=yaml.CSafeLoader)
    return Rendered([document for document in documents if document])
