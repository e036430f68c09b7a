"""The pods' network: one bridge of this enclosure, whose address stands for this machine.

A pod reaches every service that listens on the loopback here at the bridge's address with the
same port, and the API server also at the address of the `kubernetes` Service, as kube-proxy would
make it. Pods reach each other over the bridge. Nothing leads outside.
"""

import json
import subprocess
from ipaddress import IPv4Network
from pathlib import Path

BRIDGE = "tkbr0"
PLUGINS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
NEEDED = ("bridge", "host-local", "loopback")
PODS = IPv4Network("10.88.0.0/24")  # free: nothing else lives in the enclosure
HOST = str(PODS[1])
KUBELET_PORT = 10250


def make_bridge() -> None:
    """The bridge with this machine's address, leading to the loopback."""
    _run("ip", "link", "add", BRIDGE, "type", "bridge")
    _run("ip", "address", "add", f"{HOST}/{PODS.prefixlen}", "dev", BRIDGE)
    _run("ip", "link", "set", BRIDGE, "up")
    Path(f"/proc/sys/net/ipv4/conf/{BRIDGE}/route_localnet").write_text("1")
    # The kubelet's own port listens at the address itself.
    _lead("-d", HOST, "-p", "tcp", "!", "--dport", str(KUBELET_PORT), to="127.0.0.1")


def serve(address: str, port: int) -> None:
    """What kube-proxy does for the Service `kubernetes`, whose endpoint is ``port`` here."""
    _lead("-d", address, "-p", "tcp", "--dport", "443", to=f"127.0.0.1:{port}")


def _lead(*matching: str, to: str) -> None:
    rule = ("-i", BRIDGE, *matching, "-j", "DNAT", "--to-destination", to)
    _run("iptables", "-w", "-t", "nat", "-A", "PREROUTING", *rule)


def plugins() -> Path | None:
    """Where the CNI plugins are installed."""
    return next((path for path in PLUGINS if all((path / one).exists() for one in NEEDED)), None)


def write_cni(directory: Path, state: Path) -> None:
    """The CNI configuration of the bridge; addresses taken are kept in ``state``."""
    directory.mkdir(parents=True)
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": False,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(state),
            "ranges": [[{"subnet": str(PODS), "gateway": HOST}]],
            "routes": [{"dst": "0.0.0.0/0", "gw": HOST}],
        },
    }
    conf = {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, {"type": "loopback"}]}
    (directory / "10-pods.conflist").write_text(json.dumps(conf))


def _run(*command: str) -> None:
    subprocess.run(command, check=True)  # noqa: S603 - fixed commands
