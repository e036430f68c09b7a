"""A node that joins a control plane: scheduler, container runtime and kubelet."""

from dataclasses import dataclass
from pathlib import Path

from cluster.assets import binary
from cluster.node import cgroups, enclosure, kubelet, network, runtime
from cluster.node.runtime import Runtime
from cluster.plane import CONTROLLERS, ControlPlane
from cluster.process import Process, wait_until

READY_WITHIN_S = 120
# Beside those that need no node: what runs a Deployment, what takes the taint off a new node.
NODE_CONTROLLERS = (
    "deployment-controller",
    "endpoints-controller",  # for Prometheus, which finds a Service's pods by it
    "node-lifecycle-controller",
    "replicaset-controller",
)
SERVICE_ADDRESS = "10.96.0.1"  # of the Service `kubernetes`


@dataclass(frozen=True)
class Node:
    """A node that is Ready."""

    name: str
    host: str  # where pods find what listens on the loopback here, with the same ports
    runtime: Runtime


def control_plane() -> ControlPlane:
    """A control plane, not started, with the controllers that a node needs.

    Raises:
        RuntimeError: called outside of an enclosure.
    """
    folder = _enclosure() / "plane"
    controllers = (*CONTROLLERS, *NODE_CONTROLLERS)
    return ControlPlane(
        folder=folder,
        controllers=controllers,
        apiserver_flags=["--kubelet-preferred-address-types=InternalIP"],  # no names here
    )


def join(plane: ControlPlane) -> Node:
    """Start a node and wait until it is Ready; it ends with the control plane.

    What its pods leave ends with the enclosure.

    Raises:
        ProcessDied, TimeoutError: a part did not start; with the end of its log.
    """
    root = _enclosure()
    network.make_bridge()
    network.serve(SERVICE_ADDRESS, plane.port)
    plane.run("kube-scheduler", _scheduler(plane.kubeconfig))
    containers = runtime.start(root, plane.run)
    config = kubelet.write(root, containers.socket, cgroups.make(root.name))
    agent = plane.run("kubelet", kubelet.command(root, config, plane.kubeconfig))
    wait_until(lambda: _is_ready(plane, agent), "the node gets ready", READY_WITHIN_S)
    return Node(kubelet.NODE, network.HOST, containers)


def _enclosure() -> Path:
    root = enclosure.directory()
    if root is None:
        raise RuntimeError(
            "a node changes mounts, networks and cgroups: run the command inside "
            "`python -m cluster.node.enclosure`, as `make e2e` does"
        )
    return root


def _scheduler(kubeconfig: Path) -> list[str | Path]:
    flags = [f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--bind-address=127.0.0.1"]
    return [binary("kube-scheduler"), *flags]


def _is_ready(plane: ControlPlane, agent: Process) -> bool:
    """Whether the node's condition Ready is true; complains when its kubelet died."""
    agent.check()
    node = plane.api.find(f"/api/v1/nodes/{kubelet.NODE}") or {}
    conditions = node.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
