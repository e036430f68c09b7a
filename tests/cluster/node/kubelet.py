"""The kubelet: its configuration and its process."""

from pathlib import Path

import yaml
from cluster.assets import binary
from cluster.node import network

NODE = "node-1"


def configuration(root: Path, runtime: Path, cgroup: str) -> dict[str, object]:
    """A kubelet that lives in ``root`` and in one cgroup, and leaves the machine alone."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{runtime}",
        "address": network.HOST,
        "port": network.KUBELET_PORT,
        # The API server of the tests has no certificate to show; only it can reach this address.
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "makeIPTablesUtilChains": False,
        # Nobody answers there: a name fails at once instead of after a time.
        "clusterDNS": [network.HOST],
        "clusterDomain": "cluster.local",
        "resolvConf": str(root / "resolv.conf"),
        "staticPodPath": "",
        "podLogsDir": str(root / "pods"),
        # A machine that is nearly full still runs the tests; a full one fails them clearly.
        "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "nodeStatusUpdateFrequency": "2s",
        "syncFrequency": "10s",
        "registerWithTaints": [],
    }


def write(root: Path, runtime: Path, cgroup: str) -> Path:
    """Write the configuration; returns its path."""
    (root / "resolv.conf").write_text("")  # there is no name server
    path = root / "kubelet.yaml"
    path.write_text(yaml.safe_dump(configuration(root, runtime, cgroup)))
    return path


def command(root: Path, configuration: Path, kubeconfig: Path) -> list[str | Path]:
    """What to run."""
    return [
        binary("kubelet"),
        f"--config={configuration}",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={root / 'kubelet'}",
        f"--cert-dir={root / 'kubelet-pki'}",
        f"--hostname-override={NODE}",
        f"--node-ip={network.HOST}",
    ]
