"""Waits for a process that stops itself at a place, and ends it there, from outside."""

import os
import signal
import time
from pathlib import Path

from soak.nursery import Process
from soak.places import Place

IDLE_S = 0.01
STANDS, GONE = "Tt", "ZX"
"""The kernel's letters."""


def reach(process: Process, place: Place) -> bool:
    """Wait until it stands at the place; False: it came to its end before."""
    if place.is_here is None:
        return True
    while (now := state(process)) not in STANDS + GONE:
        time.sleep(IDLE_S)
    return now in STANDS


def run_on(process: Process, seconds: float) -> None:
    """Let a stopped process go on for a while."""
    go_on(process)
    process.join(seconds)


def kill(process: Process) -> bool:
    """SIGKILL; False: it had come to its end by itself."""
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def wait(process: Process, timeout_s: float) -> int | None:
    """How it ended; None: it has not."""
    process.join(timeout_s)
    return process.exitcode


def go_on(process: Process) -> None:
    """SIGCONT."""
    send(process, signal.SIGCONT)


def send(process: Process, number: signal.Signals) -> None:
    """A signal, if it is still there."""
    assert process.pid is not None
    if process.is_alive():
        os.kill(process.pid, number)


def state(process: Process) -> str:
    """The kernel's letter for it."""
    try:
        return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "X"
