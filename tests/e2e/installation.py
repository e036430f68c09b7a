"""Tunekeeper installed on the node as the README says: `helm install` with the packed chart.

The images are on the node under the names in the chart; there is no registry to pull from.
"""

import json
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cluster.helm import NAMESPACE, RELEASE, archive, helm
from cluster.node.node import Node
from cluster.plane import ControlPlane
from cluster.process import wait_until

ROOT = Path(__file__).parents[2]
DEPLOYMENT = "tunekeeper-controller"
LEASE = RELEASE
POLICED = "default"
"""A namespace whose stages get a NetworkPolicy; the plugin of the test network enforces none."""
SETTINGS: Mapping[str, object] = {
    "networkPolicy.enabled": True,
    "networkPolicy.trainers.namespaces": [POLICED],
}
IMAGES_ENV = "TUNEKEEPER_E2E_IMAGES"
KEEP_ENV = "TUNEKEEPER_E2E_KEEP_IMAGES"
NAMES = ("tunekeeper", "tunekeeper-trainer")
AVAILABLE_WITHIN_S = 180


@dataclass(frozen=True)
class ImageFile:
    """An image's archive."""

    bytes: int
    """Not compressed."""
    labels: Mapping[str, str]

    @classmethod
    def of(cls, path: Path) -> "ImageFile":
        """As `docker save` writes it."""
        with tarfile.open(path) as archive:
            (image,) = json.load(member(archive, "manifest.json"))
            config = json.load(member(archive, image["Config"]))
        return cls(path.stat().st_size, config["config"]["Labels"])


def member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    """A file of the archive."""
    found = archive.extractfile(name)
    assert found is not None, name
    return found


@dataclass(frozen=True)
class Installation:
    """The operator in its cluster."""

    plane: ControlPlane
    node: Node
    images: Mapping[str, ImageFile]

    def leader(self) -> str:
        """Name of the pod that holds the Lease; empty while nobody does."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{LEASE}"
        holder = self.plane.api.get(path)["spec"].get("holderIdentity", "")
        return str(holder).partition("_")[0]

    def delete_pod(self, name: str) -> None:
        """As a drained node does: with its grace period."""
        self.plane.api.delete(f"/api/v1/namespaces/{NAMESPACE}/pods/{name}")

    def kill_leader(self) -> str:
        """End the leader's process without a grace period; the name of its pod."""
        name = self.leader()
        assert name, "nobody leads"
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}"
        self.plane.api.delete(path, {"gracePeriodSeconds": 0})
        return name


def load_images(node: Node) -> dict[str, ImageFile]:
    """Import both images, under the names that the manifests ask for.

    The archives are deleted unless $TUNEKEEPER_E2E_KEEP_IMAGES is set: they are gigabytes.
    """
    images = {path.stem: ImageFile.of(path) for path in archives()}
    for path in archives():
        node.runtime.load(path)
        if not os.environ.get(KEEP_ENV):
            path.unlink()
    return images


def archives() -> list[Path]:
    """What `images/build.sh --archive` wrote to $TUNEKEEPER_E2E_IMAGES.

    Raises:
        FileNotFoundError: one of them is not there.
    """
    folder = Path(os.environ.get(IMAGES_ENV) or ROOT / "build" / "images")
    found = [folder / f"{name}.tar" for name in NAMES]
    for path in found:
        if not path.exists():
            raise FileNotFoundError(f"{path}: run `images/build.sh --archive {folder}` first")
    return found


def install(plane: ControlPlane, node: Node, images: Mapping[str, ImageFile]) -> Installation:
    """What the README says, with NetworkPolicies, and wait until the controller is available."""
    place = ("--namespace", NAMESPACE, "--create-namespace")
    settings = [f"--set-json={name}={json.dumps(value)}" for name, value in SETTINGS.items()]
    helm("install", RELEASE, archive(), *place, *settings, kubeconfig=plane.kubeconfig)
    try:
        wait_until(lambda: _is_available(plane), "the controller is available", AVAILABLE_WITHIN_S)
    except TimeoutError as error:
        said = plane.kubectl("describe", "pod", "-n", NAMESPACE, check=False).stdout
        raise TimeoutError(f"{error}\n{said}") from None
    return Installation(plane, node, images)


def _is_available(plane: ControlPlane) -> bool:
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{DEPLOYMENT}"
    return bool(plane.api.get(path).get("status", {}).get("availableReplicas"))
