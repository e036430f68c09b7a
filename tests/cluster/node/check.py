"""Says whether a node can be run on this machine: `python -m cluster.node.check`.

Prints one line per reason why not, each with its remedy, and exits 1; silent and 0 when it can.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cluster.node import cgroups, network, pause
from cluster.node.enclosure import UNSHARE

INSTALL = "run tests/e2e/install-packages.sh as root (Debian)"
COMMANDS = ("containerd", "ctr", "runc", "ip", "iptables", "mount", "unshare")
# The trainer's image as an archive and unpacked, beside what containerd keeps of it.
LEAST_DISK_GB = 20
LEAST_MEMORY_GB = 6
# What a node does to its surroundings, tried where it leaves nothing.
TRIAL = """
set -e
ip link set lo up
ip link add tktrial type bridge
iptables -w -t nat -A PREROUTING -i tktrial -p tcp -j DNAT --to-destination 127.0.0.1
mount -t tmpfs tmpfs "$1"
mkdir "$1/lower" "$1/upper" "$1/work" "$1/merged"
mount -t overlay overlay -o "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work" "$1/merged"
"""


def reasons() -> list[str]:
    """Why a node cannot be run here; empty when it can."""
    if platform.system() != "Linux":
        return [f"this is {platform.system()}: a node needs Linux"]
    found = [*_missing(), *_too_small(), *_forbidden()]
    return found or [*_trial()]


def _missing() -> Iterator[str]:
    absent = [name for name in COMMANDS if shutil.which(name) is None]
    if absent:
        yield f"missing commands: {', '.join(absent)}; {INSTALL}"
    if network.plugins() is None:
        places = " or ".join(str(path) for path in network.PLUGINS)
        yield f"no CNI plugins in {places}; {INSTALL}"
    if platform.machine() not in pause.MACHINES:
        yield f"no pause image for {platform.machine()}; cluster/node/pause.py has the table"


def _too_small() -> Iterator[str]:
    free_gb = shutil.disk_usage(tempfile.gettempdir()).free / 1e9
    if free_gb < LEAST_DISK_GB:
        yield f"{free_gb:.0f} GB free in {tempfile.gettempdir()}: images need {LEAST_DISK_GB} GB"
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    if memory_gb < LEAST_MEMORY_GB:
        yield f"{memory_gb:.0f} GB of memory: control plane and trainer need {LEAST_MEMORY_GB} GB"


def _forbidden() -> Iterator[str]:
    if os.geteuid() != 0:
        yield "not root: a node mounts, makes networks and cgroups; run `make e2e` as root"
        return
    for hierarchy in cgroups.hierarchies():
        if not os.access(hierarchy, os.W_OK) or _is_read_only(hierarchy):
            yield f"{hierarchy} cannot be written: pods need cgroups; run on a machine of your own"
    if not cgroups.hierarchies():
        yield f"no cgroups below {cgroups.MOUNTED}: mount them, or run on a machine of your own"


def _is_read_only(path: Path) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _trial() -> Iterator[str]:
    """Namespaces, a bridge, a firewall rule and an overlay, for a moment."""
    with tempfile.TemporaryDirectory() as scratch:
        tried = subprocess.run(  # noqa: S603 - a fixed command
            [*UNSHARE, "sh", "-c", TRIAL, "trial", scratch],
            capture_output=True,
            text=True,
            check=False,
        )
    if tried.returncode:
        said = " / ".join(tried.stderr.strip().splitlines()) or f"status {tried.returncode}"
        yield f"namespaces, bridges, iptables or overlay mounts do not work here: {said}"


def main() -> int:
    """Print the reasons; 1 when there is one."""
    found = reasons()
    for reason in found:
        sys.stderr.write(f"e2e cannot run: {reason}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
