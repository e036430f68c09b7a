"""Runs a command where a node may do as it likes and leaves nothing behind.

`python -m cluster.node.enclosure COMMAND` gives the command mount, network and process
namespaces of its own. Bridges, firewall rules, mounts and every process that a pod started are
the kernel's to remove when the first process of the enclosure ends, however it ends. What
namespaces do not cover, one directory and the cgroups of the same name, is removed by the process
outside, or by the next start when that one was killed. There is no way out to any network, which
also proves that nothing is fetched.

The command finds the directory in `TUNEKEEPER_ENCLOSURE`.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from cluster.node import cgroups
from cluster.process import TETHER

ENCLOSURE_ENV = "TUNEKEEPER_ENCLOSURE"
# Short: containerd and the kubelet put sockets below it, whose paths may have 108 characters.
PREFIX = "tk-e2e-"
LOCK = "lock"
# containerd's shims, the CNI plugins and the kubelet write to fixed places below these.
PRIVATE = ("/run", "/var/lib", "/var/log")
UNSHARE = (
    *("unshare", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork"),
    *("--kill-child", "--mount-proc", "--propagation", "private"),
)


def directory() -> Path | None:
    """The enclosure's directory, or None outside of one."""
    path = os.environ.get(ENCLOSURE_ENV)
    return Path(path) if path else None


def enter(command: Sequence[str]) -> int:
    """Run the command inside; its exit status."""
    with _place() as place:
        tether = [sys.executable, "-IS", str(TETHER), str(os.getpid())]  # dies with this process
        started = subprocess.Popen(  # noqa: S603 - the caller's own command
            [
                *tether,
                *UNSHARE,
                sys.executable,
                "-m",
                "cluster.node.enclosure",
                "--inside",
                *command,
            ],
            env=os.environ | {ENCLOSURE_ENV: str(place)},
        )
        with _ended_by_signals(started):
            return started.wait()


@contextmanager
def _place() -> Iterator[Path]:
    """The directory, locked while it is in use; what killed enclosures left is removed first."""
    with _locked(Path(tempfile.gettempdir()) / f"{PREFIX}{LOCK}") as starting:
        _remove_stale()
        place = Path(tempfile.mkdtemp(prefix=PREFIX))
        with _locked(place / LOCK):
            starting.close()
            try:
                yield place
            finally:
                for number in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, signal.SIG_IGN)  # it is over; tidying up takes moments
                _remove(place)


@contextmanager
def _locked(path: Path, *, wait: bool = True) -> Iterator[IO[str]]:
    """The file, locked until it is closed; the kernel unlocks it when the process dies."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield lock


@contextmanager
def _ended_by_signals(started: "subprocess.Popen[bytes]") -> Iterator[None]:
    """SIGTERM and a second Ctrl-C end everything at once; the first is the command's own."""
    interrupts = iter((lambda: None,))

    def interrupted(*_: object) -> None:
        next(interrupts, started.kill)()

    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, interrupted),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: started.kill()),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _remove_stale() -> None:
    for place in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/"):
        with suppress(BlockingIOError), _locked(place / LOCK, wait=False):  # in use: blocked
            _remove(place)


def _remove(place: Path) -> None:
    cgroups.remove(place.name)
    shutil.rmtree(place)


def be_the_first_process(command: Sequence[str]) -> int:
    """Set the namespaces up, run the command, and reap what pods leave to process 1.

    Its end is the end of everything inside.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # a handler is not inherited, ignoring would be
    for path in PRIVATE:
        _run("mount", "-t", "tmpfs", "tmpfs", path)
    _run("ip", "link", "set", "lo", "up")
    child = subprocess.Popen(command)  # noqa: S603 - the caller's own command
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            return os.waitstatus_to_exitcode(status)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)  # noqa: S603 - fixed commands


if __name__ == "__main__":
    inside = sys.argv[1] == "--inside"
    status = be_the_first_process(sys.argv[2:]) if inside else enter(sys.argv[1:])
    sys.exit(status if status >= 0 else 128 - status)
