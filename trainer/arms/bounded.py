"""A user's program, run once: bounded in time and output, and gone with all that it started.

Owns pipes, limits and the end of its process group; knows nothing of what is said through the
pipes. Memory is bounded whatever the program does: output beyond the bound ends it, and of what it
writes to standard error only the end is kept.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import IO

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.pulse import beat

POLL_S = 0.05
"""Between two looks at the clock, the program and the signal to stop."""
CHUNK = 1 << 16
STDERR_BYTES = 16 << 20
"""More than that is no log; it is drained as it comes, so that nobody waits for a full pipe."""
STDERR_KEPT = 16 << 10
LINGER_S = 1.0
"""After its end, for pipes that a process which it left behind still holds."""


class Bound(Enum):
    """What the program ran into."""

    TIME = "time"
    OUTPUT = "output"
    STDERR = "stderr"


@dataclass(frozen=True)
class Bounds:
    """How much of a call's time and output there may be."""

    seconds: float
    out_bytes: int
    err_bytes: int = STDERR_BYTES


@dataclass(frozen=True)
class Ran:
    """How it ended."""

    code: int
    """As the system says it: minus the signal that killed it."""
    out: bytes
    err: bytes
    """The end of it."""
    broken: Bound | None = None


def run_bounded(
    command: Sequence[str],
    given: bytes,
    bounds: Bounds,
    *,
    cwd: Path,
    environ: Mapping[str, str],
    stop: threading.Event,
    clock: Callable[[], float] = time.monotonic,
) -> Ran:
    """Run the program with ``given`` on its standard input, to its end or to a bound.

    Raises:
        OSError: it cannot be started.
        StageError: INTERRUPTED, when stopped meanwhile.
    """
    process = subprocess.Popen(  # noqa: S603 - what the spec names, as a list: no shell reads it
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=dict(environ),
        process_group=0,  # of its own, to be ended as a whole; the session stays the stage's
        bufsize=0,
    )
    with contextlib.closing(_Pipes(process, given)) as pipes:
        try:
            broken = _follow(process, pipes, bounds, stop, clock)
        finally:
            end_group(process.pid)
            code = process.wait()
    return Ran(code, bytes(pipes.out), bytes(pipes.err), broken)


def end_group(pid: int) -> None:
    """End the program and everything that it started and that stayed in its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _follow(
    process: "subprocess.Popen[bytes]",
    pipes: "_Pipes",
    bounds: Bounds,
    stop: threading.Event,
    clock: Callable[[], float],
) -> Bound | None:
    """Move data until the program has ended and its pipes are empty, or a bound is reached."""
    deadline = clock() + bounds.seconds
    left_at: float | None = None
    while pipes.are_open or process.poll() is None:
        pipes.move()
        beat()  # the deadline below is what ends a program that hangs
        broken = _broken(pipes, bounds, is_late=clock() >= deadline)
        if broken is not None:
            return broken
        if stop.is_set():
            message = "stopped while grading; answers and finished grades are kept, run again"
            raise StageError(FailureClass.INTERRUPTED, message)
        if process.poll() is not None:
            left_at = clock() if left_at is None else left_at
            if clock() - left_at >= LINGER_S:
                break
    return _broken(pipes, bounds, is_late=False)


def _broken(pipes: "_Pipes", bounds: Bounds, *, is_late: bool) -> Bound | None:
    if len(pipes.out) > bounds.out_bytes:
        return Bound.OUTPUT
    if pipes.err_count > bounds.err_bytes:
        return Bound.STDERR
    return Bound.TIME if is_late else None


@dataclass
class _Pipes:
    """The three pipes of a program, none of which it can make us wait for."""

    process: "subprocess.Popen[bytes]"
    given: bytes
    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)
    err_count: int = 0

    def __post_init__(self) -> None:
        self._rest = memoryview(self.given)
        self._selector = selectors.DefaultSelector()
        for pipe in self._pipes():
            os.set_blocking(pipe.fileno(), False)
        self._open(self.process.stdin, selectors.EVENT_WRITE, self._write)
        self._open(self.process.stdout, selectors.EVENT_READ, self._read_out)
        self._open(self.process.stderr, selectors.EVENT_READ, self._read_err)

    @property
    def are_open(self) -> bool:
        """Whether anything may still be said."""
        return bool(self._selector.get_map())

    def move(self) -> None:
        """Write and read what can be without waiting; wait a moment where nothing can."""
        if not self.are_open:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(POLL_S)
            return
        for key, _ in self._selector.select(POLL_S):
            key.data(key.fileobj)

    def close(self) -> None:
        """Let go of all of them."""
        self._selector.close()
        for pipe in self._pipes():
            with contextlib.suppress(OSError):
                pipe.close()

    def _pipes(self) -> list[IO[bytes]]:
        mine = (self.process.stdin, self.process.stdout, self.process.stderr)
        return [pipe for pipe in mine if pipe is not None]

    def _open(
        self, pipe: IO[bytes] | None, event: int, move: Callable[[IO[bytes]], object]
    ) -> None:
        assert pipe is not None  # noqa: S101 - all three were asked for
        self._selector.register(pipe, event, move)

    def _shut(self, pipe: IO[bytes]) -> None:
        self._selector.unregister(pipe)
        with contextlib.suppress(OSError):
            pipe.close()

    def _write(self, pipe: IO[bytes]) -> None:
        """A program that reads no further has its reasons; its output tells."""
        try:
            self._rest = self._rest[os.write(pipe.fileno(), self._rest[:CHUNK]) :]
        except BrokenPipeError:
            self._rest = self._rest[:0]
        if not self._rest:
            self._shut(pipe)

    def _read_out(self, pipe: IO[bytes]) -> None:
        chunk = os.read(pipe.fileno(), CHUNK)
        self.out += chunk
        if not chunk:
            self._shut(pipe)

    def _read_err(self, pipe: IO[bytes]) -> None:
        chunk = os.read(pipe.fileno(), CHUNK)
        self.err_count += len(chunk)
        self.err = (self.err + chunk)[-STDERR_KEPT:]
        if not chunk:
            self._shut(pipe)
