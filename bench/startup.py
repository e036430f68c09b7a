"""How soon the two processes that people wait for do their first work, and how large they are then.

controller: from the start of ``python -m controller`` to its first request for a list; its resident
memory at that moment. prepare: from the start of ``python -m trainer prepare`` to its first request
to the store that holds its output. Both talk to a server on loopback that takes the time and then
lets them wait, so that nothing but their own start is in the figure. Prints Markdown.
Usage: PYTHONPATH=.:tests python -m bench.startup [--times N] [--imports] [--python PYTHON]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from builders.requests import a_request, a_spec

from trainer.contract import request as contract
from trainer.contract.request import Stage

ROOT = Path(__file__).parents[1]
PATIENCE_S = 60.0
TARGETS = {"controller": (1.5, 80), "prepare": (3.0, None)}
"""Seconds, MB."""
COSTLY = 15


@dataclass
class Watch:
    """A server that answers nothing; it notes when the first request of a kind came."""

    url: str = ""
    is_it: Callable[[str], bool] = lambda _: True
    came: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    at: float = 0.0


class Handler(BaseHTTPRequestHandler):
    """One request."""

    watch: Watch

    def work(self) -> None:
        """Answer 404 before the one that is waited for, and hold that one."""
        if not self.watch.is_it(self.path):
            self.send_error(404)
            return
        if not self.watch.came.is_set():
            self.watch.at = time.monotonic()
            self.watch.came.set()
        self.watch.ended.wait(PATIENCE_S)
        self.close_connection = True

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = work  # noqa: N815 - http.server's names

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def watching(is_it: Callable[[str], bool]) -> Iterator[Watch]:
    """A watch on a free loopback port."""
    watch = Watch(is_it=is_it)
    handler = type("Bound", (Handler,), {"watch": watch})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        watch.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield watch
        finally:
            watch.ended.set()
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Start:
    """One start."""

    seconds: float
    cpu_s: float
    """Of the process: what it would take on a core of its own, but for a cold disk."""
    resident_mb: float
    load: float


def measure(watch: Watch, command: Sequence[str], environ: Mapping[str, str], log: Path) -> Start:
    """Start the command, wait for its first request, look at it, end it."""
    watch.came.clear()
    with log.open("wb") as said:
        began = time.monotonic()
        process = subprocess.Popen(command, env=environ, stdout=said, stderr=said)  # noqa: S603
        try:
            if not watch.came.wait(PATIENCE_S):
                raise SystemExit(f"no request within {PATIENCE_S:g} s:\n{log.read_text()}")
            seconds, memory = watch.at - began, resident_mb(process.pid)
            return Start(seconds, cpu_s(process.pid), memory, os.getloadavg()[0])
        finally:
            process.kill()
            process.wait()


def resident_mb(pid: int) -> float:
    """Memory of a process that is in use."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise SystemExit("the process is gone")


def cpu_s(pid: int) -> float:
    """What a process has used until now, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def controller(folder: Path, url: str) -> tuple[list[str], dict[str, str]]:
    """The controller of that API server."""
    kubeconfig = folder / "kubeconfig"
    context = {"cluster": "c", "user": "u"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": context}],
        "current-context": "c",
    }
    kubeconfig.write_text(json.dumps(document))
    addresses = ["--metrics-address", "127.0.0.1:0", "--health-address", "127.0.0.1:0"]
    return ["controller", "--kubeconfig", str(kubeconfig), *addresses], {}


def prepare(folder: Path, url: str) -> tuple[list[str], dict[str, str]]:
    """Prepare of a job whose output is in that store."""
    storage = {"endpoint": url, "region": "us-east-1", "pathStyle": True}
    output = {"uri": "s3://bucket/output", "storage": storage}
    request = a_request(folder, Stage.PREPARE, spec=a_spec(folder, output=output))
    return ["trainer", "prepare"], {
        contract.REQUEST_ENV: request.model_dump_json(exclude_none=True),
        contract.OUTCOME_ENV: str(folder / "outcome"),
        contract.WORK_ENV: str(folder / "work"),
        contract.CACHE_ENV: str(folder / "cache"),
        contract.LISTEN_ENV: "127.0.0.1:0",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "s",
    }


WHAT = {
    "controller": (controller, lambda path: path.split("?")[0].endswith("s")),
    "prepare": (prepare, lambda _: True),
}


def costs(python: str, name: str) -> str:
    """What importing takes, as Python itself counts it: the modules whose own part is largest."""
    module = {"controller": "controller.__main__", "prepare": "trainer.data.stage"}[name]
    command = [python, "-P", "-X", "importtime", "-c", f"import {module}"]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)  # noqa: S603
    rows = [line.removeprefix("import time:").split("|") for line in ended.stderr.splitlines()]
    timed = [
        (int(own), int(whole), name.strip()) for own, whole, name in rows if own.strip().isdigit()
    ]
    lines = [
        f"{whole / 1e3:8.1f} {own / 1e3:8.1f}  {name}" for own, whole, name in sorted(timed)[::-1]
    ]
    head = f"{sum(own for own, _, _ in timed) / 1e3:.0f} ms for {len(timed)} modules of {module}"
    return "\n".join([head, "   whole      own  (ms)", *lines[:COSTLY]])


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description="Measure how soon processes do their first work.")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--imports", action="store_true", help="also what their imports cost")
    parser.add_argument("--python", default=sys.executable, help="with the packages installed")
    options = parser.parse_args()
    print("| process | median | all | CPU | memory then | load | target |")
    print("|---|---|---|---|---|---|---|")
    for name, (started, is_it) in WHAT.items():
        with tempfile.TemporaryDirectory() as folder, watching(is_it) as watch:
            words, extra = started(Path(folder), watch.url)
            command = [options.python, "-P", "-m", *words]
            environ = os.environ | {"PYTHONPATH": str(ROOT)} | extra
            log = Path(folder) / "log"
            starts = [measure(watch, command, environ, log) for _ in range(options.times)]
        print(row(name, starts))
    for name in WHAT if options.imports else ():
        print(f"\n```text\n{costs(options.python, name)}\n```")


def row(name: str, starts: Sequence[Start]) -> str:
    """A line of the table."""
    seconds = [start.seconds for start in starts]
    memory = statistics.median(start.resident_mb for start in starts)
    cpu = statistics.median(start.cpu_s for start in starts)
    loads = [start.load for start in starts]
    most_s, most_mb = TARGETS[name]
    target = f"{most_s:g} s" + (f", {most_mb} MB" if most_mb else "")
    told = ", ".join(f"{each:.2f}" for each in sorted(seconds))
    return (
        f"| {name} | {statistics.median(seconds):.2f} s | {told} | {cpu:.2f} s "
        f"| {memory:.0f} MB "
        f"| {min(loads):.1f} to {max(loads):.1f} | {target} |"
    )


if __name__ == "__main__":
    main()
