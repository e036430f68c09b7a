"""A real OCI registry on a free loopback port, without users or TLS: crane's own, in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.assets import binary
from cluster.process import Process, ProcessDied, wait_until
from cluster.s3server import STARTS, answers, free_port


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """Its host and port; ended with the block."""
    process, host = _started(folder)
    try:
        yield host
    finally:
        process.stop()


def _started(folder: Path) -> tuple[Process, str]:
    for _ in range(STARTS - 1):
        try:
            return _start(folder)
        except ProcessDied:
            continue
    return _start(folder)


def _start(folder: Path) -> tuple[Process, str]:
    host = f"127.0.0.1:{free_port()}"
    command = [binary("crane"), "registry", "serve", "--address", host]
    process = Process("registry", command, folder)
    wait_until(lambda: answers(process, host), f"a registry on {host}")
    return process, host
