"""Reads a stage's last word as the kubelet would: bounded, from the file that it was left in."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from controller.core.last_word import ErrandWord, Word, parse_errand_word, parse_last_word
from trainer.contract.outcome import MAX_MESSAGE_BYTES, Outcome
from trainer.contract.request import FILE_ROOT_ENV, StageRequest, request_environment

MAX_STORED_BYTES = 1 << 20
COLLECT = (sys.executable, "-P", "-m", "trainer", "collect")
COLLECT_TIMEOUT_S = 60


def read_last_word(path: Path, request: StageRequest) -> Word:
    """The last word in the message file, completed from the output where its details were cut."""
    outcome, details = parse_last_word(_read(path, MAX_MESSAGE_BYTES))
    if outcome is None or details is not None or not outcome.run_id.isalnum():
        return outcome, details
    kept, details = parse_last_word(_stored(outcome, request))
    return outcome, details if kept == outcome else None


def read_errand_word(path: Path) -> ErrandWord:
    """The last word of an errand; what is lost of it is lost."""
    return parse_errand_word(_read(path, MAX_MESSAGE_BYTES))


def _stored(outcome: Outcome, request: StageRequest) -> bytes:
    """The durable copy; empty when it cannot be had."""
    uri = urlsplit(request.spec.output.uri)
    if uri.scheme != "file":
        return _collected(request.model_copy(update={"run_id": outcome.run_id}))
    run = Path(unquote(uri.path)) / "runs" / outcome.run_id
    return _read(run / f"{request.stage.value}-outcome.json", MAX_STORED_BYTES)


def _collected(request: StageRequest) -> bytes:
    """What the trainer reads from an object store: only it has the client and the credentials."""
    environment = {**os.environ, **request_environment(request), FILE_ROOT_ENV: "/"}
    try:
        ended = subprocess.run(  # noqa: S603 - our own interpreter, no shell
            COLLECT, env=environment, capture_output=True, timeout=COLLECT_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return b""
    return ended.stdout[:MAX_STORED_BYTES] if ended.returncode == 0 else b""


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except OSError:
        return b""
