"""Reads a stage's last word as the kubelet would: bounded, and from an untrusted writer."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from trainer.contract.outcome import MAX_MESSAGE_BYTES, MAX_OUTCOME_BYTES, Details, Outcome
from trainer.contract.request import StageRequest

MAX_STORED_BYTES = 1 << 20


def parse_last_word(data: bytes) -> tuple[Outcome | None, Details | None]:
    """The outcome, and the details unless their line was lost or cut."""
    first, _, rest = data.partition(b"\n")
    try:
        outcome = Outcome.model_validate_json(first[:MAX_OUTCOME_BYTES])
    except ValidationError:
        return None, None
    try:
        return outcome, Details.model_validate_json(rest)
    except ValidationError:
        return outcome, None


def read_last_word(path: Path, request: StageRequest) -> tuple[Outcome | None, Details | None]:
    """The last word in the message file, completed from the output where its details were cut."""
    outcome, details = parse_last_word(_read(path, MAX_MESSAGE_BYTES))
    if outcome is None or details is not None:
        return outcome, details
    stored = _stored(outcome, request)
    kept, details = parse_last_word(_read(stored, MAX_STORED_BYTES)) if stored else (None, None)
    return outcome, details if kept == outcome else None


def _stored(outcome: Outcome, request: StageRequest) -> Path | None:
    """Where the durable copy is, when this machine can simply open it."""
    uri = urlsplit(request.spec.output.uri)
    if uri.scheme != "file" or not outcome.run_id.isalnum():
        return None
    run = Path(unquote(uri.path)) / "runs" / outcome.run_id
    return run / f"{request.stage.value}-outcome.json"


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except OSError:
        return b""
