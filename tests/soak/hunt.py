"""Runs a process in short spells and ends it at an exact place, from outside.

Between two spells it is stopped (SIGSTOP), so that what is seen is still so when it is killed.
"""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from soak.nursery import Process
from soak.places import Place
from soak.sight import Sight

SPELL_S = 0.002
IDLE_S = 0.01


def reach(process: Process, place: Place, look: Callable[[], Sight]) -> bool:
    """Leave the process stopped at the place; False: it came to its end before."""
    if place.has_brake:
        return stands(process)
    while process.is_alive():
        if not (place.at_once or look().has_begun):
            time.sleep(IDLE_S)
            continue
        halt(process)
        if place.is_here(look()):
            return process.is_alive()
        go_on(process)
        time.sleep(SPELL_S)
    return False


def stands(process: Process) -> bool:
    """Wait until it has stopped itself; False: it came to its end."""
    while process.is_alive() and state(process) not in "TtZX":
        time.sleep(IDLE_S)
    return process.is_alive()


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


def halt(process: Process) -> None:
    """SIGSTOP, and wait until it stands still or is no more."""
    send(process, signal.SIGSTOP)
    while state(process) not in "TtZX":
        time.sleep(0)


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
