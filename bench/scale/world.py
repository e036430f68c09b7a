"""The API server, operators with the rights of manifests/rbac, and what is read of both."""

import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.operated import ACCOUNT, Desk
from cluster.plane import ControlPlane
from cluster.process import Process, wait_until

ROOT = Path(__file__).parents[2]
NAMESPACES = ("load", "bare", "twin")
"""The operator's, the bare client's and the twin's: each minds its own business."""
CONTROLLERS = ("serviceaccount-controller", "root-ca-certificate-publisher-controller")
"""No Job controller: what is measured is the operator, and a Job's pods are not its work."""

USUAL: dict[str, Any] = {
    "lease_duration_s": 15,
    "lease_renew_s": 10,
    "lease_retry_s": 2,
    "retry_base_s": 10,
    "retry_cap_s": 600,
    "requeue_cap_s": 60,
    "progress_period_s": 2,
    "pending_grace_s": 20,
    "events_period_s": 30,
    "watch_namespaces": NAMESPACES[0],
}
"""The defaults, as on a cluster."""

EMPTIED_S = 300.0

Spent = Counter[tuple[str, str]]
"""Requests by verb and ``resource/subresource``."""

_REQUESTS = re.compile(r"^apiserver_request_total\{(.*)\} (\S+)$")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def say(text: str) -> None:
    """A progress line; the results go to stdout."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@dataclass
class World:
    """One control plane."""

    plane: ControlPlane
    workers: int

    @contextmanager
    def operator(self, name: str, *, is_awaited: bool = True) -> Iterator[Desk]:
        """A process, until the block ends."""
        settings = {**USUAL, "workers": self.workers}
        desk = Desk(self.plane, f"{NAMESPACES[0]}-{name}", None, settings)
        try:
            (desk.start if is_awaited else desk.launch)()
            yield desk
        finally:
            desk.process.stop()

    def requests(self) -> Spent:
        """Those that the server has answered."""
        page = self.plane.api.raw("GET", "/metrics")[1].decode()
        found: Spent = Counter()
        for line in page.splitlines():
            if told := _REQUESTS.match(line):
                labels = dict(_LABEL.findall(told[1]))
                what = "/".join(filter(None, (labels["resource"], labels["subresource"])))
                found[labels["verb"], what] += int(float(told[2]))
        return found

    def clear(self) -> None:
        """Every object goes, and then its child: nobody is to start it again."""
        for namespace in NAMESPACES:
            for path in (
                f"/apis/tunekeeper.dev/v1alpha1/namespaces/{namespace}/finetunejobs",
                f"/apis/batch/v1/namespaces/{namespace}/jobs",
                f"/apis/events.k8s.io/v1/namespaces/{namespace}/events",
                f"/api/v1/namespaces/{namespace}/pods",
            ):
                _emptied(self.plane, path)


def _emptied(plane: ControlPlane, path: str) -> None:
    """A collection of thousands takes longer than one request may, so it is asked again."""

    def is_empty() -> bool:
        with suppress(OSError):
            plane.api.delete(path, {"propagationPolicy": "Background"})
            return not plane.api.get(f"{path}?limit=1")["items"]
        return False

    wait_until(is_empty, f"{path} is empty", EMPTIED_S)


@contextmanager
def world(workers: int) -> Iterator[World]:
    """A server with the CRDs, the rights and the two namespaces."""
    crds = sorted((ROOT / "manifests" / "crd").glob("*s.yaml"))
    with ControlPlane(early=crds, controllers=CONTROLLERS) as plane:
        for name in (ACCOUNT[1], *NAMESPACES):
            plane.api.post("/api/v1/namespaces", {"metadata": {"name": name}})
            account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
            wait_until(lambda path=account: plane.api.find(path), "the namespace is ready")
        plane.kubectl("apply", "-k", ROOT / "manifests" / "rbac")
        yield World(plane, workers)


def cpu_s(process: Process) -> float:
    """User and system time so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(process: Process) -> tuple[float, float]:
    """Resident now, and at its peak."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    kib = {name: int(value) for name, value in re.findall(r"(VmRSS|VmHWM):\s+(\d+) kB", text)}
    return kib["VmRSS"] / 1000 * 1.024, kib["VmHWM"] / 1000 * 1.024


def series(desk: Desk, name: str) -> float:
    """The sum of a metric of the operator."""
    lines = desk.read("/metrics").splitlines()
    return sum(float(one.split()[-1]) for one in lines if re.match(rf"{name}[ {{]", one))
