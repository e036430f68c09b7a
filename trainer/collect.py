"""``python -m trainer collect``: the durable copy of a stage's last word.

For whoever started the stage and got only a part of its message, or none. Given the stage's own
request it is printed whole. As a stage of its own, ``collect``, it looks for the word of one
attempt and leaves it as its own last word: what lies in the store may be another attempt's.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from trainer import stage as frame
from trainer.contract import request as contract
from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.contract.outcome import Details, Outcome
from trainer.contract.request import LostAttempt, Stage, StageRequest
from trainer.errors import StageError
from trainer.lastword import outcome_path, secret_files, storage_error
from trainer.stage import StageResult, read_request
from trainer.store import layout
from trainer.store.base import MissingError
from trainer.store.open import open_store


def collect(environ: Mapping[str, str]) -> int:
    """Print the last word, or leave it as one's own. Returns the exit code."""
    try:
        request = read_request(environ)
        if request.stage is Stage.COLLECT:
            return _answer(request, environ)
        sys.stdout.buffer.write(_whole(request, environ))
    except StageError as error:
        sys.stderr.write(f"{error.message}\n")
        return EXIT_CODES[error.failure]
    return 0


def _whole(request: StageRequest, environ: Mapping[str, str]) -> bytes:
    try:
        return stored_outcome(request, request.stage, environ)
    except MissingError as missing:
        message = f"{missing} does not exist; the stage ended before it knew its run"
        raise StageError(FailureClass.NOT_FOUND, message) from None


def stored_outcome(request: StageRequest, stage: Stage, environ: Mapping[str, str]) -> bytes:
    """Both lines, uncut.

    Raises:
        MissingError: that stage has left none in this run.
        StageError: the output cannot be read.
    """
    output = request.spec.output
    file_root = Path(environ.get(contract.FILE_ROOT_ENV, contract.DEFAULT_FILE_ROOT))
    secrets = secret_files(environ)
    store = open_store(output.uri, output.storage, file_root=file_root, secrets=secrets)
    key = layout.outcome(request.run_id, stage.value)
    try:
        return store.read(key)
    except MissingError:
        raise MissingError(f"{store.uri}/{key}") from None


def _answer(request: StageRequest, environ: Mapping[str, str]) -> int:
    """Exit code 0 for any answer: that the attempt has failed is no failure of the look."""
    try:
        found = _found(request, environ)
    except StageError as error:
        found = frame.failed(request, error)
    except OSError as error:
        found = frame.failed(request, storage_error(error, request.spec.output.uri))
    frame.write_outcome(outcome_path(environ), found)
    return frame.exit_code(found.outcome) if found.outcome.stage is Stage.COLLECT else 0


def _found(request: StageRequest, environ: Mapping[str, str]) -> StageResult:
    """The word of the very attempt; else that there is none."""
    lost = request.lost
    if lost is None:
        message = "the request of a collect names no lost attempt; report it"
        raise StageError(FailureClass.INVALID_SPEC, message)
    try:
        found = _parsed(stored_outcome(request, lost.stage, environ))
    except MissingError:
        found = None
    return found if found and speaks_for(found.outcome, request, lost) else _nothing(request, lost)


def speaks_for(said: Outcome, request: StageRequest, lost: LostAttempt) -> bool:
    """Whether an outcome is that of the lost attempt."""
    told = (said.uid, said.run, said.stage, said.attempt)
    return told == (request.job.uid, request.run, lost.stage, lost.attempt)


def _parsed(data: bytes) -> StageResult | None:
    first, _, rest = data.partition(b"\n")
    try:
        outcome = Outcome.model_validate_json(first)
    except ValueError:
        return None
    try:
        return StageResult(outcome, Details.model_validate_json(rest))
    except ValueError:
        return StageResult(outcome, Details())


def _nothing(request: StageRequest, lost: LostAttempt) -> StageResult:
    message = f"there is no outcome of {lost.stage.value}, attempt {lost.attempt}, in the output"
    return StageResult(frame.outcome_of(request, message=message), Details())
