"""One replica of the operator, started again whenever it ends, as a kubelet does with its pod."""

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cluster.process import Process

ROOT = Path(__file__).parents[2]
LOOK_S = 0.02
MUTANTS = Path(__file__).with_name("mutants.py")


@dataclass
class Replica:
    """A context manager around its life. ``kill``, ``pause`` and ``wake`` never wait."""

    name: str
    """``a`` or ``b``."""
    place: str
    """The case that it belongs to, for the name of its log."""
    folder: Path
    flags: Sequence[str]
    mutant: str = ""
    code: Path = ROOT
    """Whose operator it runs from its next start on."""
    pause_s: float = 0.1
    """Between an end and the next start."""
    starts: list[float] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    """How it ended each time."""
    killed_s: float = 0.0
    """When ``kill`` was last called."""
    woken_s: float = 0.0
    """When ``wake`` was last called; for ever, while it sleeps."""
    process: Process | None = None
    _stopping: threading.Event = field(default_factory=threading.Event, repr=False)

    def start(self) -> None:
        """Begin; it is not ready yet."""
        self._thread = threading.Thread(target=self._keep, name=self._title, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it for good."""
        self._stopping.set()
        self._thread.join()

    def kill(self) -> None:
        """As a power cut would."""
        self.killed_s = time.monotonic()
        self.woken_s = 0.0  # whoever sleeps has nothing more to say
        self._signal(signal.SIGKILL)

    def pause(self) -> None:
        """It does nothing any more, and does not know it."""
        self.woken_s = math.inf
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """It goes on, with what it was about to say."""
        self._signal(signal.SIGCONT)
        self.woken_s = time.monotonic()

    @property
    def alive_since_s(self) -> float:
        """Nothing that it did before this was done in its present life."""
        return max(self.killed_s, *self.starts) if self.starts else time.monotonic()

    def log(self) -> str:
        """What it has logged in all its lives."""
        return "" if self.process is None else self.process.log.read_text(encoding="utf-8")

    @property
    def _title(self) -> str:
        return f"operator-{self.place}-{self.name}"

    def _signal(self, number: int) -> None:
        if self.process is not None:
            os.kill(self.process.pid, number)

    def _keep(self) -> None:
        """In one thread: the kernel ends the process with the thread that started it."""
        while not self._stopping.is_set():
            self.starts.append(time.monotonic())
            self.process = Process(
                self._title, self._command(), self.folder, env=self._environment()
            )
            while self.process.is_alive() and not self._stopping.wait(LOOK_S):
                pass
            if not self.process.is_alive():
                self.codes.append(self.process.exit_code or 0)
                self._stopping.wait(self.pause_s)
        if self.process is not None:
            self.process.kill()

    def _command(self) -> list[str | Path]:
        python = [sys.executable, "-P"]
        program = [MUTANTS, self.mutant] if self.mutant else ["-m", "controller"]
        return [*python, *program, *self.flags]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.code)}
