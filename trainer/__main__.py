"""``python -m trainer prepare|train|judge`` runs a stage, ``resolve|write-back`` an errand.

Other words print what stages left: ``report``, ``collect``, ``history``, ``diff``, ``verify``;
``follow`` keeps a model server at what they promoted.

``train --ranks N`` is N processes of that stage, one for each GPU. The one place where a stage's
failure is caught: it becomes an outcome and an exit code.
"""

import contextlib
import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import FrameType

from trainer import launch
from trainer import stage as frame
from trainer.contract.errand import Errand
from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.contract.request import DEFAULT_LISTEN, LISTEN_ENV, Stage, StageRequest
from trainer.errand import run_errand
from trainer.errors import FencedError, PeerLostError, StageError
from trainer.lastword import outcome_path, storage_error
from trainer.pulse import PULSE
from trainer.serve import serve_progress
from trainer.watchdog import watched

# Imported when it runs: prepare and judge live in an image without torch.
STAGES = {
    Stage.PREPARE: ("trainer.data.stage", "prepare"),
    Stage.TRAIN: ("trainer.train.stage", "train"),
    Stage.JUDGE: ("trainer.judge.stage", "judge"),
}

WORDS = {
    "report": ("trainer.report.command", "print_report"),
    "history": ("trainer.lineage.command", "print_history"),
    "diff": ("trainer.lineage.command", "print_diff"),
    "verify": ("trainer.lineage.command", "print_verification"),
    "follow": ("trainer.follow.command", "follow"),
}


def main(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Run what the first argument names; returns the exit code."""
    match arguments:
        case [name, *rest] if name in WORDS:
            return word(name)(rest)
        case ["collect"]:
            from trainer.collect import collect  # noqa: PLC0415 - no stage needs it

            return collect(environ)
        case [name, *options] if name in list(Stage) and are_of_stage(Stage(name), options):
            return start_stage(Stage(name), options, environ)
        case [name] if name in list(Errand):
            return run_errand(Errand(name), environ)
        case _:
            stages = "|".join([*Stage, *Errand])
            sys.stderr.write(
                f"usage: python -m trainer {stages} | train --ranks N | collect | "
                "report [--html FILE] URI | history URI | diff RUN RUN | verify URI | follow URI\n"
            )
            return EXIT_CODES[FailureClass.INVALID_SPEC]


def word(name: str) -> Callable[[Sequence[str]], int]:
    """What is no stage, imported now: no stage needs it."""
    module, function = WORDS[name]
    found: Callable[[Sequence[str]], int] = getattr(importlib.import_module(module), function)
    return found


def are_of_stage(stage: Stage, options: Sequence[str]) -> bool:
    """Whether the stage is started like that: only train knows an option."""
    match options:
        case []:
            return True
        case ["--ranks", count]:
            return stage is Stage.TRAIN and count.isdecimal()
        case _:
            return False


def start_stage(stage: Stage, options: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a stage in this process, or train in several that end as one."""
    if stage is not Stage.TRAIN:
        return run_stage(stage, environ)
    count = int(options[1]) if options else ranks_for(environ)
    if count <= 1:
        return run_stage(stage, environ)
    return launch.launch([sys.executable, "-P", "-m", "trainer", stage], count, environ)


def ranks_for(environ: Mapping[str, str]) -> int:
    """As many as the request wants GPUs and this machine has; one where it has none."""
    try:
        gpus = frame.read_request(environ).spec.gpus
    except StageError:
        return 1  # the stage says so
    if gpus <= 1 or launch.place_of(environ) is not None:
        return 1
    from torch import cuda  # noqa: PLC0415 - only where GPUs have to be counted

    return max(1, min(gpus, cuda.device_count()))


def run_stage(stage: Stage, environ: Mapping[str, str]) -> int:
    """Run one stage from request to outcome."""
    stop, environ = stop_on_signals(), launch.own_environment(environ)
    try:
        request = frame.read_request(environ)
    except StageError as error:
        sys.stderr.write(f"{error.message}\n")
        return EXIT_CODES[error.failure]
    result = attempt(stage, request, environ, stop)
    try:
        frame.write_outcome(outcome_path(environ), result)
    except OSError as error:  # the exit code still carries the class
        if result.outcome.failure is None:
            result = frame.failed(request, storage_error(error, request.spec.output.uri))
    if result.outcome.failure is not None:
        with contextlib.suppress(OSError):  # a disk that is full for the log as well
            sys.stderr.write(f"{result.outcome.failure}: {result.outcome.message}\n")
    return frame.exit_code(result.outcome)


def attempt(
    stage: Stage, request: StageRequest, environ: Mapping[str, str], stop: threading.Event
) -> frame.StageResult:
    """Do the stage's work; every failure becomes a result that names its class."""
    try:
        context = frame.open_context(request, environ, stop)
        with (
            watched(request, standing_still(request, environ)),
            serve_progress(context.progress, environ.get(LISTEN_ENV, DEFAULT_LISTEN)),
            context.limit.armed(),
        ):
            result = work(stage, context, lambda: launch.speaks_for_stage(environ))
        if launch.is_first(environ):
            frame.store_outcome(context.store, result)
    except StageError as error:
        return frame.failed(request, error)
    except OSError as error:
        return frame.failed(request, storage_error(error, request.spec.output.uri))
    except Exception as error:  # noqa: BLE001 - the last line of defence; the log has the trace
        traceback.print_exc()
        message = f"{type(error).__name__} in stage {stage}; the stage's log has the trace"
        return frame.failed(request, StageError(FailureClass.UNEXPECTED, message))
    return result


def standing_still(request: StageRequest, environ: Mapping[str, str]) -> Callable[[str], None]:
    """Writes the last word of a stage that has stopped moving; its store may be why."""

    def speak(message: str) -> None:
        error = StageError(FailureClass.NO_PROGRESS, message)
        frame.write_outcome(outcome_path(environ), frame.failed(request, error))

    return speak


def work(
    stage: Stage, context: frame.StageContext, keeps_word: Callable[[], bool]
) -> frame.StageResult:
    """The stage's work; of a failure the store keeps the word as well, if it can."""
    try:
        return stage_function(stage)(context)
    except (FencedError, PeerLostError):
        raise  # the claim is another's: not a byte more is written; or the cause is another rank's
    except StageError as error:
        if keeps_word():
            frame.store_failure(context, error)
        raise


def stage_function(stage: Stage) -> frame.StageFunction:
    """The stage's work, imported now and not before."""
    module, name = STAGES[stage]
    with PULSE.silent("loading libraries"):
        function: frame.StageFunction = getattr(importlib.import_module(module), name)
    return function


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set; the stage looks at it between two steps."""
    stop = threading.Event()

    def request_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, request_stop)
    return stop


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
