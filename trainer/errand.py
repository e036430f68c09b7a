"""The frame around an errand: what it is given, what it gives back, how it ends.

An errand is a short stage of a BaseModel. It has no run, no output store and no progress; a
request, an outcome and an exit code it has as every stage. Imports no torch.
"""

import contextlib
import importlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Generic, TypeVar

from pydantic import ValidationError

from trainer.contract import request as contract
from trainer.contract.errand import (
    Errand,
    ErrandDetails,
    ErrandOutcome,
    ErrandRequest,
    ResolveRequest,
    WriteBackRequest,
)
from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.errors import StageError
from trainer.lastword import (
    MAX_TEXT,
    outcome_path,
    parse_request,
    secret_files,
    storage_error,
    write_lines,
)
from trainer.sources.base import Transfer
from trainer.store.secrets import SecretFiles

Request_co = TypeVar("Request_co", bound=ErrandRequest, covariant=True)

REQUESTS: dict[Errand, type[ErrandRequest]] = {
    Errand.RESOLVE: ResolveRequest,
    Errand.WRITE_BACK: WriteBackRequest,
}
# Imported when it runs: one needs a Hub's client, the other Git.
WORK = {
    Errand.RESOLVE: ("trainer.sources.errand", "resolve"),
    Errand.WRITE_BACK: ("trainer.writeback.errand", "write_back"),
}

GRACE_S = 8.0
"""Between a signal and the end of what does not hear it: a request that nobody answers. It is
well within the 30 s that a pod has, after which its exit code would tell of memory."""


@dataclass(frozen=True)
class ErrandContext(Generic[Request_co]):
    """Everything an errand may touch; ``work`` is its own and need not be left clean."""

    request: Request_co
    work: Path
    secrets: SecretFiles
    file_root: Path
    stop: threading.Event
    transfer: Transfer
    """Its ``on_bytes`` ends the work when the errand is told to stop."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True)
class ErrandResult:
    """What an errand says at its end."""

    outcome: ErrandOutcome
    details: ErrandDetails = field(default_factory=ErrandDetails)


class DetailedErrandError(StageError):
    """A failure that has learnt something on the way."""

    def __init__(self, error: StageError, details: ErrandDetails) -> None:
        super().__init__(
            error.failure, error.message, cause=error.cause, retry_after_s=error.retry_after_s
        )
        self.details = details


ErrandFunction = Callable[[ErrandContext[ErrandRequest]], ErrandResult]


class LastWord:
    """An errand's outcome, written once; whoever speaks second is not heard."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._code: int | None = None
        self._lock = threading.Lock()

    def speak(self, result: ErrandResult) -> int:
        """Write both lines; returns the exit code, which carries the class even unwritten."""
        with self._lock:
            if self._code is None:
                self._code = self._written(result)
            return self._code

    def _written(self, result: ErrandResult) -> int:
        failure = result.outcome.failure
        try:
            write_lines(self._path, result.outcome, [result.details, ErrandDetails()])
        except OSError as error:
            failure = failure or storage_error(error, str(self._path)).failure
        if failure is None:
            return 0
        with contextlib.suppress(OSError):  # a disk that is full for the log as well
            sys.stderr.write(f"{failure}: {result.outcome.message}\n")
        return EXIT_CODES[failure]


def run_errand(errand: Errand, environ: Mapping[str, str]) -> int:
    """Run an errand from request to outcome; returns the exit code."""
    last_word = LastWord(outcome_path(environ))
    try:
        request = parse_request(environ, REQUESTS[errand])
    except StageError as error:
        return refuse(errand, environ, error, last_word)
    stop = threading.Event()
    end_on_signals(stop, lambda: last_word.speak(failed(request, interrupted(errand))))
    return last_word.speak(attempt(request, environ, stop))


def refuse(
    errand: Errand, environ: Mapping[str, str], error: StageError, last_word: LastWord
) -> int:
    """Say what is wrong with the request: to whom it names, if it can be read as far as that."""
    try:
        document = json.loads(contract.joined_request(environ))
        asked = {"uid": document["baseModel"]["uid"], "number": document["number"]}
        outcome = ErrandOutcome.model_validate({"errand": errand, **asked, **told(error)})
    except (ValueError, KeyError, TypeError, ValidationError, RecursionError):
        sys.stderr.write(f"{error.message}\n")
        return EXIT_CODES[error.failure]
    return last_word.speak(ErrandResult(outcome))


def attempt(
    request: ErrandRequest, environ: Mapping[str, str], stop: threading.Event
) -> ErrandResult:
    """Do the errand's work; every failure becomes a result that names its class."""
    errand = request.errand
    try:
        return errand_function(errand)(open_context(request, environ, stop))
    except StageError as error:
        return failed(request, error)
    except OSError as error:
        return failed(request, storage_error(error, str(errand)))
    except Exception as error:  # noqa: BLE001 - the last line of defence; the log has the trace
        traceback.print_exc()
        message = f"{type(error).__name__} in {errand}; the log of its pod has the trace"
        return failed(request, StageError(FailureClass.UNEXPECTED, message))


def errand_function(errand: Errand) -> ErrandFunction:
    """The errand's work, imported now and not before."""
    module, name = WORK[errand]
    function: ErrandFunction = getattr(importlib.import_module(module), name)
    return function


def open_context(
    request: ErrandRequest, environ: Mapping[str, str], stop: threading.Event
) -> ErrandContext[ErrandRequest]:
    """Make the writable place that the environment names."""
    work = Path(environ.get(contract.WORK_ENV, contract.DEFAULT_WORK))
    work.mkdir(parents=True, exist_ok=True)

    def check_stop(_count: int) -> None:
        if stop.is_set():
            raise interrupted(request.errand)

    return ErrandContext(
        request=request,
        work=work,
        secrets=secret_files(environ),
        file_root=Path(environ.get(contract.FILE_ROOT_ENV, contract.DEFAULT_FILE_ROOT)),
        stop=stop,
        transfer=Transfer(on_bytes=check_stop, stop=stop),
    )


def interrupted(errand: Errand) -> StageError:
    """It was told to stop."""
    return StageError(FailureClass.INTERRUPTED, f"{errand} was stopped; it is started again")


def outcome_of(request: ErrandRequest, **fields: object) -> ErrandOutcome:
    """An outcome that names this errand."""
    identity = {
        "errand": request.errand,
        "uid": request.base_model.uid,
        "number": request.number,
    }
    return ErrandOutcome.model_validate({**identity, **fields})


def failed(request: ErrandRequest, error: StageError) -> ErrandResult:
    """The result that says why an errand did not do its work."""
    details = error.details if isinstance(error, DetailedErrandError) else ErrandDetails()
    return ErrandResult(outcome_of(request, **told(error)), details)


def told(error: StageError) -> dict[str, object]:
    """The fields of an outcome that tell of a failure: the one place that maps them."""
    return {
        "failure": error.failure,
        "cause": error.cause,
        "message": error.message[:MAX_TEXT],
        "retry_after_seconds": error.retry_after_s,
    }


def end_on_signals(stop: threading.Event, speak: Callable[[], int]) -> None:
    """On SIGTERM and SIGINT ask the work to stop, and end the process where it does not hear.

    Nothing that an errand does is left half done by that: it writes to a directory of its own,
    and a push to Git is there whole or not at all.
    """

    def end() -> None:
        os._exit(speak())

    def request_stop(_number: int, _frame: FrameType | None) -> None:
        if not stop.is_set():
            stop.set()
            timer = threading.Timer(GRACE_S, end)
            timer.daemon = True
            timer.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, request_stop)
