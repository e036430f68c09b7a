"""One stage as several processes, one for each GPU: starts them, ends them, speaks for them.

Owns the ranks' processes and what their ends mean together: one exit code, one last word. Knows
nothing of what they compute and imports no torch. Ranks find themselves by torchrun's variables,
so that torchrun may start them too; docs/decisions/0014 says why it does not.
"""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from trainer.contract import request as contract
from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.lastword import outcome_path

MEETING_ENV = "TUNEKEEPER_MEETING"
"""File by which the ranks of a pod find each other."""
GRACE_S = 20.0
"""For the others, once a rank has failed; they may be stuck in a sum that never comes."""
NO_PROGRESS = EXIT_CODES[FailureClass.NO_PROGRESS]
INTERRUPTED = EXIT_CODES[FailureClass.INTERRUPTED]


@dataclass(frozen=True)
class Place:
    """Which process this is."""

    rank: int
    world: int
    local: int
    """On its node: the number of its GPU."""


def place_of(environ: Mapping[str, str]) -> Place | None:
    """What torchrun's variables say; None: this process is alone."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    if not all(environ.get(name, "").isdecimal() for name in names):
        return None
    place = Place(*(int(environ[name]) for name in names))
    return place if place.world > 1 else None


def rank_environment(
    environ: Mapping[str, str], place: Place, folder: Path, cores: int
) -> dict[str, str]:
    """What one rank is started with; the user's own settings of threads and networks stay."""
    chosen = {
        "OMP_NUM_THREADS": str(max(1, cores // place.world)),
        "GLOO_SOCKET_IFNAME": "lo",  # nobody outside the pod can reach the ranks
        "NCCL_SOCKET_IFNAME": "lo",
    }
    ours = {
        "RANK": str(place.rank),
        "WORLD_SIZE": str(place.world),
        "LOCAL_RANK": str(place.local),
        "LOCAL_WORLD_SIZE": str(place.world),
        MEETING_ENV: str(folder / "meeting"),
        contract.OUTCOME_ENV: str(word_of(folder, place.rank)),
    }
    return {**chosen, **environ, **ours}


def own_environment(environ: Mapping[str, str]) -> Mapping[str, str]:
    """What a rank makes of its environment: only the first is asked for progress.

    Under torchrun, which gives all of them the same places, only the first has a last word.
    """
    place = place_of(environ)
    if place is None or place.rank == 0:
        return environ
    silent = {} if MEETING_ENV in environ else {contract.OUTCOME_ENV: os.devnull}
    return {**environ, contract.LISTEN_ENV: "127.0.0.1:0", **silent}


def is_first(environ: Mapping[str, str]) -> bool:
    """Whether this process writes what only one of the stage's processes may."""
    place = place_of(environ)
    return place is None or place.rank == 0


def speaks_for_stage(environ: Mapping[str, str]) -> bool:
    """Whether this process's failure is the stage's own, which the store is told as well."""
    meeting = environ.get(MEETING_ENV)
    has_failed = meeting is not None and _failed_mark(Path(meeting).parent).exists()
    return is_first(environ) and not has_failed


def _failed_mark(folder: Path) -> Path:
    """There once a rank has failed: what the others say then is a consequence."""
    return folder / "a-rank-failed"


def word_of(folder: Path, rank: int) -> Path:
    """Where a rank leaves its last word."""
    return folder / f"outcome-{rank}"


@dataclass(frozen=True)
class End:
    """How a rank ended."""

    rank: int
    code: int
    """As a shell says it: 128 + the signal."""
    is_ours: bool = False
    """The launcher killed it: its code says nothing."""


@dataclass(frozen=True)
class Result:
    """What all ends mean together."""

    code: int
    rank: int
    """Whose last word is the stage's."""


def result_of(ends: Sequence[End], *, is_told: bool) -> Result:
    """The exit code and the last word, from the ends in their order.

    What the first rank has published is whole, so its 0 is the stage's. Else the first failure
    counts that is no consequence of another: that a peer was lost (NoProgress), that the launcher
    stopped the rest (Interrupted, unless the launcher was told to stop).
    """
    if any(end.rank == 0 and end.code == 0 for end in ends):
        return Result(0, 0)
    failed = [end for end in ends if end.code and not end.is_ours]
    consequences = {NO_PROGRESS} | (set() if is_told else {INTERRUPTED})
    causes = [end for end in failed if end.code not in consequences]
    code = _code((causes or failed or [End(0, NO_PROGRESS)])[0].code, is_told=is_told)
    return Result(code, min((end.rank for end in failed if end.code == code), default=0))


def _code(code: int, *, is_told: bool) -> int:
    """A rank that was told to stop before it could listen was interrupted like the others."""
    return INTERRUPTED if is_told and code == 128 + signal.SIGTERM else code


@dataclass
class Crew:
    """The processes of one launch."""

    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    is_told: bool = False
    _ends: "queue.Queue[tuple[int, int]]" = field(default_factory=queue.Queue)
    _killed: set[int] = field(default_factory=set)

    def start(self, command: Sequence[str], environments: Sequence[Mapping[str, str]]) -> None:
        """Start every rank; one that was told to stop meanwhile is told at once."""
        for environ in environments:
            process = subprocess.Popen(command, env=environ, pass_fds=inherited(environ))  # noqa: S603 - our own command
            self.processes.append(process)
            threading.Thread(
                target=self._watch, args=[len(self.processes) - 1], daemon=True
            ).start()
        if self.is_told:
            self.signal(signal.SIGTERM)

    def tell(self, _number: int = signal.SIGTERM, _frame: FrameType | None = None) -> None:
        """Pass on that the stage is to end; as a signal handler or by hand."""
        self.is_told = True
        self.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """To every rank that is left."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    def ends(self, grace_s: float) -> list[End]:
        """Wait for all of them, in the order of their ends.

        One that fails by itself takes the others with it. When the stage was told to end, how long
        it may take is for whoever told it.
        """
        found: list[End] = []
        deadline: float | None = None
        while len(found) < len(self.processes):
            try:
                rank, code = self._ends.get(timeout=_left(deadline))
            except queue.Empty:
                deadline = None
                self._kill({end.rank for end in found})
                continue
            found.append(End(rank, code, rank in self._killed))
            if deadline is None and not self.is_told and not self._killed and (code or rank == 0):
                deadline = time.monotonic() + grace_s
                self._end_the_others(is_failure=code != 0)
        return found

    def _end_the_others(self, *, is_failure: bool) -> None:
        if is_failure:
            _failed_mark(self.folder).touch()
        self.signal(signal.SIGTERM)

    def _kill(self, ended: set[int]) -> None:
        self._killed = set(range(len(self.processes))) - ended
        self.signal(signal.SIGKILL)

    def _watch(self, rank: int) -> None:
        code = self.processes[rank].wait()
        self._ends.put((rank, code if code >= 0 else 128 - code))


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def inherited(environ: Mapping[str, str]) -> tuple[int, ...]:
    """The listening socket that the stage was handed, for the rank that serves it."""
    kind, _, number = environ.get(contract.LISTEN_ENV, "").rpartition(":")
    return (int(number),) if kind == "fd" and number.isdecimal() else ()


def launch(
    command: Sequence[str], count: int, environ: Mapping[str, str], *, grace_s: float = GRACE_S
) -> int:
    """Run the command as ``count`` ranks; leaves one last word and returns the exit code."""
    work = Path(environ.get(contract.WORK_ENV, contract.DEFAULT_WORK))
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ranks-", dir=work) as name:
        folder, cores = Path(name), os.cpu_count() or 1
        crew = Crew(folder)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, crew.tell)
        places = [Place(rank, count, rank) for rank in range(count)]
        crew.start(command, [rank_environment(environ, place, folder, cores) for place in places])
        ends = crew.ends(grace_s)
        result = result_of(ends, is_told=crew.is_told)
        report(ends, result)
        with contextlib.suppress(OSError):  # the exit code still carries the class
            outcome_path(environ).write_bytes(word_of(folder, result.rank).read_bytes())
    return result.code


def report(ends: Sequence[End], result: Result) -> None:
    """Say in the log whose end it was, where it was not everybody's."""
    if result.code == 0 or len({end.code for end in ends}) == 1:
        return
    codes = ", ".join(f"rank {end.rank}: {end.code}" for end in ends)
    with contextlib.suppress(OSError):
        sys.stderr.write(f"ranks ended with {codes}, in this order; taken: {result.code}\n")
