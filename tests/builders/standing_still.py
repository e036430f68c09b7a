"""A real stage process whose work hangs: in C code, with or without the interpreter's lock."""

import ctypes
import sys
from pathlib import Path

from trainer import __main__ as command
from trainer import stage as frame
from trainer import watchdog
from trainer.contract.outcome import Details
from trainer.pulse import PULSE

HANG_S = 600


def hang(held: str) -> None:
    """In libc's sleep: CDLL lets the lock go, PyDLL keeps it."""
    libc = {"free": ctypes.CDLL, "held": ctypes.PyDLL}[held](None)
    libc.sleep(HANG_S)


def main(held: str, signs: Path) -> int:
    """Hang after the first sign of life; ``beating`` works for longer than the stall."""

    def work(context: frame.StageContext) -> frame.StageResult:
        context.progress.start("reading rows", 10)
        signs.touch()
        if held == "beating":
            for _ in range(40):
                context.stop.wait(0.1)
                context.progress.advance()
        elif held == "silent":
            with PULSE.silent("loading the base model", 60):
                context.stop.wait(3)
        else:
            hang(held)
        return frame.StageResult(frame.outcome_of(context.request), Details())

    watchdog.USUAL_S = 1.0
    watchdog.LAST_RESORT_S = 1.0
    command.stage_function = lambda _stage: work
    return command.main(["prepare"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
