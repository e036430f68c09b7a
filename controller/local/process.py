"""One stage as a process: its environment, its files, its end."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from controller.core.actions import StartStage
from controller.core.children import Child, ChildState
from controller.local.last_word import read_last_word
from controller.local.poll import read_progress
from trainer.contract import request as contract
from trainer.contract.outcome import Details, Outcome
from trainer.contract.progress import Progress

Clock = Callable[[], datetime]

GRACE_S = 120.0
"""Time to write a checkpoint after SIGTERM."""


@dataclass(frozen=True)
class Places:
    """Where a stage's files are on this machine."""

    logs: Path
    scratch: Path
    cache: Path


@dataclass
class StageProcess:
    """A stage that was started, and what is known of it."""

    action: StartStage
    process: asyncio.subprocess.Process
    port: int
    log: Path
    scratch: Path
    started: datetime
    finished: datetime | None = None
    outcome: Outcome | None = None
    details: Details | None = None
    progress: Progress | None = None
    is_stopping: bool = False

    @property
    def is_alive(self) -> bool:
        """Whether its end has not been recorded yet."""
        return self.finished is None

    async def poll(self) -> None:
        """Refresh the progress; one that cannot be read leaves the last."""
        self.progress = await read_progress(self.port, self.action.request) or self.progress

    async def settle(self, clock: Clock) -> None:
        """Wait for the end and read the last word."""
        await self.process.wait()
        _signal_group(self.process.pid, signal.SIGKILL)  # what it left behind
        message = self.scratch / "outcome"
        self.outcome, self.details = read_last_word(message, self.action.request)
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.finished = clock()

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """SIGTERM to the stage alone, as the kubelet does; SIGKILL to all of it after the grace."""
        if self.is_stopping:
            return
        self.is_stopping = True
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), grace_s)
        except TimeoutError:
            self.kill()

    def kill(self) -> None:
        """End it and everything it started, now."""
        _signal_group(self.process.pid, signal.SIGKILL)

    def child(self) -> Child:
        """What the core sees."""
        request = self.action.request
        return Child(
            name=self.action.name,
            run=request.run,
            stage=request.stage,
            attempt=request.attempt,
            spec_hash=request.spec_hash,
            state=self._state(),
            outcome=self.outcome,
            details=self.details,
            exit_code=None if self.is_alive else shell_code(self.process.returncode),
            started=self.started,
            finished=self.finished,
            progress=self.progress,
            is_stopped=self.is_stopping,
            log=str(self.log),
        )

    def _state(self) -> ChildState:
        if not self.is_alive:
            return ChildState.FINISHED
        return ChildState.STOPPING if self.is_stopping else ChildState.RUNNING


async def spawn(
    action: StartStage, places: Places, *, command: Sequence[str], clock: Clock
) -> StageProcess:
    """Start ``<command> <stage>`` with the environment of the contract.

    It gets a session of its own, so that Ctrl-C in the terminal is ours to translate.

    Raises:
        OSError: a file cannot be written or the command cannot be started.
    """
    scratch, log = places.scratch / action.name, places.logs / f"{action.name}.log"
    (scratch / "work").mkdir(parents=True, exist_ok=True)
    with _listener() as listener, log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            action.request.stage.value,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **_environment(action, scratch, places.cache, listener.fileno())},
            cwd=scratch,
            pass_fds=(listener.fileno(),),
            start_new_session=True,
        )
        port = int(listener.getsockname()[1])
    return StageProcess(action, process, port, log, scratch, clock())


def _environment(action: StartStage, scratch: Path, cache: Path, fd: int) -> Mapping[str, str]:
    return {
        **contract.request_environment(action.request),
        contract.OUTCOME_ENV: str(scratch / "outcome"),
        contract.LISTEN_ENV: f"fd:{fd}",
        contract.WORK_ENV: str(scratch / "work"),
        contract.CACHE_ENV: str(cache),
        contract.FILE_ROOT_ENV: "/",
        "PYTHONUNBUFFERED": "1",
    }


def _listener() -> socket.socket:
    """A listening loopback socket that the stage inherits: no port to guess, none to race for."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.set_inheritable(True)
    return listener


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def shell_code(returncode: int | None) -> int | None:
    """An exit code as a shell and the kubelet say it: 128 + the signal."""
    if returncode is None or returncode >= 0:
        return returncode
    return 128 - returncode
