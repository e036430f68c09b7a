"""A twin of the operator in Go, on controller-runtime: does less, as people write it.

It records the first attempt and creates its Job; it has no Lease, makes no live read, polls no pod
and keeps no last word. What it is for: speed and memory beside it, in the same sitting.
"""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from builders.operated import ACCOUNT
from cluster.assets import binary
from cluster.plane import ControlPlane, free_port
from cluster.process import Process, wait_until

from bench.scale.bodies import bodies
from bench.scale.world import World

START_S = 60.0


@dataclass(frozen=True)
class Twin:
    """A process under way."""

    plane: ControlPlane
    process: Process

    def log(self) -> str:
        """What it has logged so far."""
        return self.process.log.read_text(encoding="utf-8")


@contextmanager
def twin(world: World, namespace: str, *, is_awaited: bool = True) -> Iterator[Twin]:
    """One that works in that namespace with the operator's rights, until the block ends."""
    plane, port = world.plane, free_port("127.0.0.1")
    process = Process(f"twin-{namespace}", _command(world, namespace, port), plane.folder)
    try:
        if is_awaited:
            wait_until(lambda: _is_ready(process, port), "the twin is ready", START_S)
        yield Twin(plane, process)
    finally:
        process.stop()


def _command(world: World, namespace: str, port: int) -> list[str]:
    told, folder = bodies(namespace), world.plane.folder
    status, job = folder / "twin-status.json", folder / "twin-job.json"
    status.write_text(json.dumps(json.loads(told.status)["status"]))
    job.write_bytes(told.job)
    return [
        str(binary("twin")),
        f"-credentials={world.plane.kubeconfig_for(*ACCOUNT)}",
        f"-watch={namespace}",
        f"-health=127.0.0.1:{port}",
        f"-status={status}",
        f"-job={job}",
        f"-child={told.child}",
    ]


def _is_ready(process: Process, port: int) -> bool:
    process.check()
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
        return True
    return False
