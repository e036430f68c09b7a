"""Programs that a test runs beside itself, and that never outlive it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

TETHER = Path(__file__).parent / "tether.py"
STOP_S = 10.0
TAIL_LINES = 25


class ProcessDied(Exception):  # noqa: N818 - says what happened
    """A program ended although nobody asked it to."""


class Process:
    """A program in its own process group, its output in ``<folder>/<name>.log``.

    It dies with the thread that started it, so start it in one that lives as long as the tests.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        folder: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        tether = [sys.executable, "-IS", str(TETHER), str(os.getpid())]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - what the test wants to run
                [*tether, *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=None if env is None else dict(env),
            )

    @property
    def pid(self) -> int:
        """Of the program itself."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs, negative after a signal."""
        return self._process.poll()

    def check(self) -> None:
        """Complain if it no longer runs.

        Raises:
            ProcessDied: with the end of its log.
        """
        if not self.is_alive():
            code = self._process.returncode
            raise ProcessDied(f"{self.name} exited {code}; {self.log} ends:\n{self.tail()}")

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The end of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def stop(self, timeout_s: float = STOP_S) -> None:
        """End it and all that it started: politely, then not."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return


def wait_until(is_true, what: str, timeout_s: float = 30.0, period_s: float = 0.05):
    """The first truthy answer of ``is_true``.

    Raises:
        TimeoutError: there was none in time; says what was waited for.
    """
    deadline = time.monotonic() + timeout_s
    while not (answer := is_true()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s")
        time.sleep(period_s)
    return answer
