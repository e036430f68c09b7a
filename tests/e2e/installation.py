"""Tunekeeper installed on the node as the README says: `helm install` with the packed chart.

The images are on the node under the names in the chart; there is no registry to pull from.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster.api import Json
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
class Installation:
    """The operator in its cluster."""

    plane: ControlPlane
    node: Node
    image_bytes: Mapping[str, int]
    """Size of each image's archive, not compressed."""

    def controller_pod(self) -> str:
        """Name of the controller's running pod; empty while there is none."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods"
        pods = [one for one in self.plane.api.get(path)["items"] if _is_running(one)]
        return pods[0]["metadata"]["name"] if pods else ""

    def leader(self) -> str:
        """Name of the pod that holds the Lease; empty while nobody does."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{LEASE}"
        holder = self.plane.api.get(path)["spec"].get("holderIdentity", "")
        return str(holder).partition("_")[0]

    def delete_pod(self, name: str) -> None:
        """As a drained node does: with its grace period."""
        self.plane.api.delete(f"/api/v1/namespaces/{NAMESPACE}/pods/{name}")

    def kill_controller(self) -> str:
        """End the controller's process without a grace period; the name of its pod."""
        name = self.controller_pod()
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}"
        self.plane.api.delete(path, {"gracePeriodSeconds": 0})
        return name


def _is_running(pod: Json) -> bool:
    return pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]


def load_images(node: Node) -> dict[str, int]:
    """Import both images, under the names that the manifests ask for; bytes of each by name.

    The archives are deleted unless $TUNEKEEPER_E2E_KEEP_IMAGES is set: they are gigabytes.
    """
    sizes = {path.stem: path.stat().st_size for path in archives()}
    for path in archives():
        node.runtime.load(path)
        if not os.environ.get(KEEP_ENV):
            path.unlink()
    return sizes


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


def install(plane: ControlPlane, node: Node, image_bytes: Mapping[str, int]) -> Installation:
    """What the README says, with NetworkPolicies, and wait until the controller is available."""
    place = ("--namespace", NAMESPACE, "--create-namespace")
    settings = [f"--set-json={name}={json.dumps(value)}" for name, value in SETTINGS.items()]
    helm("install", RELEASE, archive(), *place, *settings, kubeconfig=plane.kubeconfig)
    try:
        wait_until(lambda: _is_available(plane), "the controller is available", AVAILABLE_WITHIN_S)
    except TimeoutError as error:
        said = plane.kubectl("describe", "pod", "-n", NAMESPACE, check=False).stdout
        raise TimeoutError(f"{error}\n{said}") from None
    return Installation(plane, node, image_bytes)


def _is_available(plane: ControlPlane) -> bool:
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{DEPLOYMENT}"
    return bool(plane.api.get(path).get("status", {}).get("availableReplicas"))
