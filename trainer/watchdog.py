"""Ends a stage that stands still: says what it was doing, and where, then leaves for good.

Two lines of defence. A thread compares the pulse with what it was; it writes the outcome and ends
the process, whatever the main thread hangs in. Where that holds the interpreter's lock no thread
of Python runs any more: then faulthandler's, which needs no lock, prints the stacks and ends the
process without an outcome.
"""

import faulthandler
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.contract.request import Stage, StageRequest
from trainer.contract.spec import Training
from trainer.pulse import PULSE, Pulse

USUAL_S: float = Training().stall_seconds
"""For the stages that have no setting."""
STDERR = 2
"""The log, also where ``sys.stderr`` was replaced."""
LONGEST_TICK_S = 5.0
LAST_RESORT_S = 60.0
"""Beyond the stall: time in which the thread should have ended the process."""


@dataclass
class Standstill:
    """Since when nothing has moved."""

    stall_s: float
    pulse: Pulse = field(default_factory=lambda: PULSE)
    _count: int = -1
    _since_s: float = 0.0

    @property
    def limit_s(self) -> float:
        """How long that may be now."""
        return max(self.stall_s, self.pulse.patience_s)

    def silent_s(self, now_s: float) -> float:
        """How long it has been, as far as the looks so far can tell."""
        if self.pulse.count != self._count:
            self._count, self._since_s = self.pulse.count, now_s
        return now_s - self._since_s

    def is_stalled(self, now_s: float) -> bool:
        """Whether it has been for too long."""
        return self.silent_s(now_s) >= self.limit_s


def stall_seconds(request: StageRequest) -> float:
    """How long the stage may stand still."""
    is_train = request.stage is Stage.TRAIN
    return request.spec.training.stall_seconds if is_train else USUAL_S


def message_of(request: StageRequest, still: Standstill) -> str:
    """What is said of it."""
    setting = " (spec.training.stallSeconds)" if request.stage is Stage.TRAIN else ""
    return (
        f"{request.stage} made no progress for {still.limit_s:g} s{setting} at "
        f"{still.pulse.doing!r}; its log has the stacks, and the next attempt goes on from what is "
        "durable"
    )


@contextmanager
def watched(
    request: StageRequest,
    speak: Callable[[str], object],
    *,
    leave: Callable[[int], object] = os._exit,
) -> Iterator[None]:
    """While the body runs it is ended when it stands still.

    Args:
        request: Whose stage it is.
        speak: Writes the outcome NoProgress with a message.
        leave: Ends the process with an exit code.
    """
    still, done = Standstill(stall_seconds(request)), threading.Event()

    def end() -> None:
        faulthandler.dump_traceback(STDERR, all_threads=True)
        with suppress(OSError):  # a full disk: the exit code still carries the class
            speak(message_of(request, still))
        leave(EXIT_CODES[FailureClass.NO_PROGRESS])

    PULSE.beat()
    arm_last_resort(still)  # the thread may never get the lock
    thread = threading.Thread(target=watch, args=(still, done, end), daemon=True, name="watchdog")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def arm_last_resort(still: Standstill) -> None:
    """Let faulthandler end the process unless it is armed again in time."""
    faulthandler.dump_traceback_later(still.limit_s + LAST_RESORT_S, file=STDERR, exit=True)


def watch(
    still: Standstill,
    done: threading.Event,
    end: Callable[[], None],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Look again and again, until it is done or stands still."""
    tick_s = min(LONGEST_TICK_S, still.stall_s / 10)
    try:
        while not done.wait(tick_s):
            arm_last_resort(still)
            if still.is_stalled(clock()):
                return end()
    finally:
        faulthandler.cancel_dump_traceback_later()
