"""What does watching base models cost the operator?

A real API server and the real operator; so many BaseModels, whose errands' pods are played here. A
cycle is what one poll of one object is: record, Job, pod, last word, record of the end, and the end
of the oldest Job. The first cycles are not measured: old Jobs are removed from the third on. The
CPU is that of the operator's process. Prints Markdown.
Usage: PYTHONPATH=.:tests python bench/basemodels.py [--objects N] [--cycles N]
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from builders.operated import ACCOUNT, Desk, operated
from builders.watched import BaseDesk
from cluster.errandpod import ErrandPod
from cluster.plane import ControlPlane
from cluster.process import wait_until

ROOT = Path(__file__).parents[1]
NAMESPACE = "bench-basemodels"
WARM_CYCLES = 3
IDLE_S = 20.0
PATIENCE_S = 300.0
FLEET = 1000
HOUR_S = 3600
PROMISED_PERCENT = 1.0


@dataclass(frozen=True)
class Cost:
    """CPU and status writes of a cycle of all objects."""

    cpu_s: float
    wall_s: float
    writes: float


@dataclass
class Fleet:
    """The objects, and whoever plays their pods."""

    desk: Desk
    names: list[str]
    pool: ThreadPoolExecutor
    cycles: int = 0

    def cycle(self) -> Cost:
        """One look at every object; what differs from the last one is a README."""
        self.cycles += 1
        number, start_s = self.cycles, time.monotonic()
        before = (cpu_s(self.desk.process.pid), writes(self.desk))
        act = self._create if number == 1 else self._check
        list(self.pool.map(act, self.names))
        self._play(number)
        wait_until(lambda: self._ended(number), "every end is recorded", PATIENCE_S, 0.5)
        spent = (cpu_s(self.desk.process.pid) - before[0], writes(self.desk) - before[1])
        return Cost(spent[0], time.monotonic() - start_s, spent[1])

    def _create(self, name: str) -> None:
        BaseDesk(self.desk, name).apply()

    def _check(self, name: str) -> None:
        BaseDesk(self.desk, name).check(f"cycle {self.cycles}")

    def _play(self, number: int) -> None:
        """End each pod once it is there."""
        done: set[str] = set()
        wait_until(lambda: self._play_new(number, done), "every pod is played", PATIENCE_S, 0.2)

    def _play_new(self, number: int, done: set[str]) -> bool:
        selector = f"tunekeeper.dev/number%3D{number}"
        path = f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector={selector}"
        found = self.desk.plane.api.get(path)["items"]
        new = [ErrandPod(self.desk.kubelet.place, pod) for pod in found]
        fresh = [pod for pod in new if pod.uid not in done]
        list(self.pool.map(lambda pod: pod.found(f"a{number}"), fresh))
        done |= {pod.uid for pod in fresh}
        return len(done) >= len(self.names)

    def _ended(self, number: int) -> bool:
        known = self.desk.plane.api.get(BaseDesk(self.desk).all)["items"]
        errands = [one.get("status", {}).get("errand", {}) for one in known]
        return all(e.get("number") == number and "endTime" in e for e in errands)


def cpu_s(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def writes(desk: Desk) -> float:
    """Writes of the operator to the API server so far."""
    lines = desk.read("/metrics").splitlines()
    return sum(float(one.split()[-1]) for one in lines if one.startswith("tunekeeper_writes_total"))


@contextmanager
def fleet(objects: int) -> Iterator[Fleet]:
    """An operator with the retry pauses of a cluster, and nothing else at work."""
    crds = sorted((ROOT / "manifests" / "crd").glob("*s.yaml"))
    with ExitStack() as stack:
        plane = stack.enter_context(ControlPlane(early=crds))
        plane.api.post("/api/v1/namespaces", {"metadata": {"name": ACCOUNT[1]}})
        plane.kubectl("apply", "-k", ROOT / "manifests" / "rbac")
        plane.api.post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"
        wait_until(lambda: plane.api.find(account), "the namespace is ready")
        usual = {"pending_grace_s": 20, "events_period_s": 30, "progress_period_s": 2}
        desk = stack.enter_context(operated(plane, NAMESPACE, **usual))
        pool = stack.enter_context(ThreadPoolExecutor(8))
        yield Fleet(desk, [f"base-{n:04}" for n in range(objects)], pool)


def main() -> int:
    """Measure and print; 1 when the promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=200)
    parser.add_argument("--cycles", type=int, default=3)
    told = parser.parse_args()
    with fleet(told.objects) as known:
        for _ in range(WARM_CYCLES):
            known.cycle()
        costs = [known.cycle() for _ in range(told.cycles)]
        before = cpu_s(known.desk.process.pid)
        time.sleep(IDLE_S)
        idle = (cpu_s(known.desk.process.pid) - before) / IDLE_S
    looks = told.objects * told.cycles
    per_look_s = sum(cost.cpu_s for cost in costs) / looks
    percent = per_look_s * FLEET / HOUR_S * 100
    written = sum(cost.writes for cost in costs) / looks
    wall_s = sum(cost.wall_s for cost in costs) / len(costs)
    lines = [
        f"| {told.objects} BaseModels, {told.cycles} cycles | per look |",
        "|---|---|",
        f"| CPU of the operator | {per_look_s * 1000:.1f} ms |",
        f"| its writes (2 of the status, create, delete) | {written:.2f} |",
        f"| wall time of a cycle of all | {wall_s:.1f} s |",
        f"| idle, {told.objects} objects | {idle * 100:.2f} % of a core |",
        f"| **{FLEET} objects, each looked at hourly** | **{percent:.2f} % of a core** |",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if percent <= PROMISED_PERCENT else 1


if __name__ == "__main__":
    sys.exit(main())
