"""Does a stage that hangs or talks nonsense delay the progress of the others?

A real API server and the real operator; nine pods whose progress servers are played here. Six tell
the truth all the time. The other three do so too in one half of each alternation; in the other
half one hangs, one answers garbage and one answers a megabyte. Prints Markdown.
Usage: PYTHONPATH=.:tests python bench/progress.py [--alternations N] [--rounds N]
"""

import argparse
import http.client
import http.server
import json
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from builders.operated import ACCOUNT, Desk, operated
from cluster.plane import ControlPlane, free_port
from cluster.pods import Pod
from cluster.process import wait_until

from trainer.contract.progress import Progress

ROOT = Path(__file__).parents[1]
NAMESPACE = "bench-progress"
GOOD = tuple(f"good-{n}" for n in range(6))
BAD = ("hangs", "garbage", "megabyte")
PERIOD_S = 0.2
"""Ten times as often as on a cluster, so that the pause between two polls hides less."""
PATIENCE_S = 30.0
MAX_PERCENT = 99
GOLDEN = 0.618
"""Multiples of it spread evenly between 0 and 1."""


@dataclass
class Stage:
    """A pod's progress server."""

    pod: Pod
    percent: int = 0
    manner: str = "good"

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """In its manner."""
        if self.manner == "hangs":
            time.sleep(3)
            return
        bodies = {"garbage": b"\x00\xff{" * 100, "megabyte": b"x" * 1_000_000}
        body = bodies.get(self.manner) or self._truth()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _truth(self) -> bytes:
        uid, stage = self.pod.labels["tunekeeper.dev/uid"], self.pod.stage
        told = Progress(
            uid=uid, run=1, stage=stage, attempt=1, pod_uid=self.pod.uid, percent=self.percent
        )
        return told.model_dump_json().encode()


@contextmanager
def served(stage: Stage, address: str, port: int) -> Iterator[None]:
    """The stage answers at that address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                stage.answer(self)
            except OSError:
                return  # the poller had enough

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            del format, args

    server = http.server.ThreadingHTTPServer((address, port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Written:
    """When each percentage of each job was first seen in its stored status, by a watch."""

    desk: Desk
    version: str
    times_s: dict[tuple[str, int], float] = field(default_factory=dict)

    def run(self) -> None:
        """Until the server closes the watch."""
        api = self.desk.plane.api
        tls = ssl.create_default_context(cafile=api.ca_file)
        connection = http.client.HTTPSConnection(api.host, api.port, context=tls)
        query = f"watch=1&resourceVersion={self.version}"
        headers = {"Authorization": f"Bearer {api.token}"}
        connection.request("GET", f"{self.desk.path('')}?{query}", headers=headers)
        answer = connection.getresponse()
        while line := answer.readline():
            self._take(json.loads(line)["object"])

    def _take(self, job: dict) -> None:
        percent = job.get("status", {}).get("progress", {}).get("percent")
        if percent is not None:
            self.times_s.setdefault((job["metadata"]["name"], percent), time.monotonic())


@dataclass(frozen=True)
class Half:
    """What one half of an alternation measured."""

    write_s: float
    """Median from a pod's new progress to the status write that tells it."""
    reconcile_s: float
    """Mean of all reconciles."""


@dataclass
class Bench:
    """The pods, and the watch on what is written about them."""

    desk: Desk
    stages: dict[str, Stage]
    written: Written
    steps: int = 0

    def half(self, rounds: int, *, is_bad: bool) -> Half:
        """So many steps of every good pod, one after the other."""
        for name in BAD:
            self.stages[name].manner = name if is_bad else "good"
        before = self._reconciles()
        found = [seconds for _ in range(rounds) for seconds in self._step()]
        spent_s, count = (now - then for now, then in zip(self._reconciles(), before, strict=True))
        return Half(median(found), spent_s / count)

    def _step(self) -> list[float]:
        self.steps += 1
        time.sleep(PERIOD_S * (self.steps * GOLDEN % 1))  # anywhere in the period
        start_s = time.monotonic()
        wanted = [(name, self._next(name)) for name in GOOD]
        wait_until(
            lambda: all(key in self.written.times_s for key in wanted),
            f"{wanted}",
            PATIENCE_S,
            0.01,
        )
        return [self.written.times_s[key] - start_s for key in wanted]

    def _next(self, name: str) -> int:
        percent = self.stages[name].percent % MAX_PERCENT + 1
        self.written.times_s.pop((name, percent), None)  # of the last time around
        self.stages[name].percent = percent
        return percent

    def _reconciles(self) -> tuple[float, float]:
        name = "controller_runtime_reconcile_time_seconds"
        page = self.desk.read("/metrics").splitlines()
        return tuple(  # type: ignore[return-value]
            float(next(line for line in page if line.startswith(f"{name}_{part}")).split()[-1])
            for part in ("sum", "count")
        )


@contextmanager
def benched() -> Iterator[Bench]:
    """Nine running stages."""
    crds = sorted((ROOT / "manifests" / "crd").glob("*s.yaml"))
    port = free_port("127.0.0.1")
    with ExitStack() as stack:
        plane = stack.enter_context(ControlPlane(early=crds))
        plane.api.post("/api/v1/namespaces", {"metadata": {"name": ACCOUNT[1]}})
        plane.kubectl("apply", "-k", ROOT / "manifests" / "rbac")
        plane.api.post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"
        wait_until(lambda: plane.api.find(account), "the namespace is ready")
        settings = {"progress_port": port, "progress_period_s": PERIOD_S}
        desk = stack.enter_context(operated(plane, NAMESPACE, **settings))
        stages = {name: begun(stack, desk, name, n, port) for n, name in enumerate((*GOOD, *BAD))}
        for name in stages:
            desk.until(lambda s: s.get("progress"), "it tells its progress", name)
        version = plane.api.get(desk.path(""))["metadata"]["resourceVersion"]
        written = Written(desk, version)
        threading.Thread(target=written.run, daemon=True).start()
        yield Bench(desk, stages, written)


def begun(stack: ExitStack, desk: Desk, name: str, number: int, port: int) -> Stage:
    """A job whose first pod runs at an address of its own."""
    desk.apply(name)
    stage, address = Stage(desk.kubelet.pod("prepare", job=name)), f"127.0.0.{number + 2}"
    stack.enter_context(served(stage, address, port))
    stage.pod.running(address)
    return stage


def measured(bench: Bench, alternations: int, rounds: int) -> list[tuple[Half, Half]]:
    """Without and with the bad ones; which comes first changes each time."""
    found = []
    for number in range(alternations):
        order = (False, True) if number % 2 == 0 else (True, False)
        halves = {is_bad: bench.half(rounds, is_bad=is_bad) for is_bad in order}
        found.append((halves[False], halves[True]))
    return found


def row(what: str, pairs: Sequence[tuple[float, float]]) -> str:
    """Medians, and the median of the ratios of the two halves of each alternation."""
    without, beside = (median(values) * 1000 for values in zip(*pairs, strict=True))
    ratios = sorted(after / before for before, after in pairs)
    spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
    return f"| {what} | {without:.1f} ms | {beside:.1f} ms | **{median(ratios):.2f}** | {spread} |"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alternations", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=12)
    told = parser.parse_args()
    with benched() as bench:
        found = measured(bench, told.alternations, told.rounds)
    lines = [
        "| six good pods | alone | beside one that hangs, garbage, 1 MB | ratio | range |",
        "|---|---|---|---|---|",
        row("new progress to status write", [(a.write_s, b.write_s) for a, b in found]),
        row("one reconcile, mean", [(a.reconcile_s, b.reconcile_s) for a, b in found]),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
