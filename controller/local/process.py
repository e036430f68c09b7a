"""One stage or errand as a process: its environment, its files, its end."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from controller.core.actions import StartErrand, StartStage
from controller.core.children import AnyChild, Child, ChildState, Ending
from controller.core.watching.child import ErrandChild
from controller.local.last_word import read_errand_word, read_last_word
from controller.local.poll import read_progress
from trainer.contract import request as contract
from trainer.contract.errand import ErrandDetails, ErrandOutcome
from trainer.contract.failures import FailureClass
from trainer.contract.outcome import Details, Outcome
from trainer.contract.progress import Progress

Clock = Callable[[], datetime]

GRACE_S = 120.0
"""Time to write a checkpoint after SIGTERM."""


OVERDUE = Ending(FailureClass.DEADLINE_EXCEEDED, "ended at its backstop")


@dataclass(frozen=True)
class Places:
    """Where a stage's files are on this machine."""

    logs: Path
    scratch: Path
    cache: Path


@dataclass
class Spawned:
    """What every process of ours is when it has just been started."""

    process: asyncio.subprocess.Process
    port: int
    log: Path
    scratch: Path
    started: datetime


@dataclass
class AnyProcess(ABC):
    """A stage or an errand that was started, and what is known of it."""

    spawned: Spawned
    finished: datetime | None = None
    is_stopping: bool = False
    is_overdue: bool = False

    @abstractmethod
    def read_word(self, message: Path) -> None:
        """Take the last word from the file that it was left in."""

    @property
    def is_alive(self) -> bool:
        """Whether its end has not been recorded yet."""
        return self.finished is None

    async def settle(self, clock: Clock) -> None:
        """Wait for the end and read the last word."""
        await self.spawned.process.wait()
        end_session(self.spawned.process.pid)  # what it left behind
        self.read_word(self.spawned.scratch / "outcome")
        shutil.rmtree(self.spawned.scratch, ignore_errors=True)
        self.finished = clock()

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """SIGTERM to the stage alone, as the kubelet does; SIGKILL to all of it after the grace."""
        if self.is_stopping:
            return
        self.is_stopping = True
        await self._end(grace_s)

    async def _end(self, grace_s: float) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.spawned.process.terminate()
        try:
            await asyncio.wait_for(self.spawned.process.wait(), grace_s)
        except TimeoutError:
            self.kill()

    async def end_overdue(self, backstop_s: int, grace_s: float = GRACE_S) -> None:
        """As the kubelet ends a pod at its activeDeadlineSeconds; nothing where it ends before."""
        try:
            await asyncio.wait_for(self.spawned.process.wait(), backstop_s)
        except TimeoutError:
            self.is_overdue = not self.is_stopping
            await self._end(grace_s)

    def kill(self) -> None:
        """End it and everything it started, now."""
        end_session(self.spawned.process.pid)

    def known(self, name: str) -> AnyChild:
        """What the core sees of any of them."""
        code = shell_code(self.spawned.process.returncode)
        return AnyChild(
            name=name,
            state=self._state(),
            exit_code=None if self.is_alive else code,
            started=self.spawned.started,
            finished=self.finished,
            is_stopped=self.is_stopping,
            ending=OVERDUE if self.is_overdue else None,
            log=str(self.spawned.log),
        )

    def _state(self) -> ChildState:
        if not self.is_alive:
            return ChildState.FINISHED
        return ChildState.STOPPING if self.is_stopping else ChildState.RUNNING


@dataclass(kw_only=True)
class StageProcess(AnyProcess):
    """A stage."""

    action: StartStage
    outcome: Outcome | None = None
    details: Details | None = None
    progress: Progress | None = None

    async def poll(self) -> None:
        """Refresh the progress; one that cannot be read leaves the last."""
        found = await read_progress(self.spawned.port, self.action.request)
        self.progress = found or self.progress

    def read_word(self, message: Path) -> None:
        """Completed from the output where its details were cut."""
        self.outcome, self.details = read_last_word(message, self.action.request)

    def child(self) -> Child:
        """What the core sees."""
        request = self.action.request
        return Child(
            **vars(replace(self.known(self.action.name), progress=self.progress)),
            run=request.run,
            stage=request.stage,
            attempt=request.attempt,
            spec_hash=request.spec_hash,
            outcome=self.outcome,
            details=self.details,
        )


@dataclass(kw_only=True)
class ErrandProcess(AnyProcess):
    """An errand of a BaseModel."""

    action: StartErrand
    outcome: ErrandOutcome | None = None
    details: ErrandDetails | None = None

    def read_word(self, message: Path) -> None:
        """As it was left."""
        self.outcome, self.details = read_errand_word(message)

    def child(self) -> ErrandChild:
        """What the core sees."""
        request = self.action.request
        return ErrandChild(
            **vars(self.known(self.action.name)),
            errand=request.errand,
            number=request.number,
            source_hash=self.action.source_hash,
            outcome=self.outcome,
            details=self.details,
        )


async def spawn(
    action: StartStage | StartErrand, places: Places, *, command: Sequence[str], clock: Clock
) -> Spawned:
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
            action.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **_environment(action, scratch, places.cache, listener.fileno())},
            cwd=scratch,
            pass_fds=(listener.fileno(),),
            start_new_session=True,
        )
        port = int(listener.getsockname()[1])
    return Spawned(process, port, log, scratch, clock())


def _environment(
    action: StartStage | StartErrand, scratch: Path, cache: Path, fd: int
) -> Mapping[str, str]:
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


def end_session(leader: int) -> None:
    """End a stage with its group, and with the groups of their own that it gave to graders.

    Those are found where there is a /proc: on Linux.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if _session_of(stat.read_text(errors="replace")) == leader:
                os.kill(int(stat.parent.name), signal.SIGKILL)


def _session_of(stat: str) -> int:
    """After the command's name, which may hold anything: state, parent, group, session."""
    return int(stat.rpartition(")")[2].split()[3])


def shell_code(returncode: int | None) -> int | None:
    """An exit code as a shell and the kubelet say it: 128 + the signal."""
    if returncode is None or returncode >= 0:
        return returncode
    return 128 - returncode
