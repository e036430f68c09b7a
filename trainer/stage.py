"""The frame around a stage: what it is given, what it gives back, how it ends.

Owns environment, signals and the outcome; knows no stage's work. Imports no torch.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from trainer.contract import request as contract
from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.contract.outcome import Details, Outcome
from trainer.contract.request import StageRequest
from trainer.contract.verdict import Judgement
from trainer.errors import StageError
from trainer.lastword import MAX_TEXT, parse_request, secret_files, write_lines
from trainer.limit import TimeLimit
from trainer.progress import ProgressTracker
from trainer.store import layout
from trainer.store.base import Store
from trainer.store.open import open_store
from trainer.store.secrets import AMBIENT, SecretFiles


@dataclass(frozen=True)
class StageContext:
    """Everything a stage may touch."""

    request: StageRequest
    store: Store
    work: Path
    cache: Path
    file_root: Path
    progress: ProgressTracker
    stop: threading.Event
    secrets: SecretFiles = AMBIENT
    pod_uid: str = ""
    image: str = ""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    limit: TimeLimit = field(default_factory=lambda: TimeLimit(None, threading.Event()))


@dataclass(frozen=True)
class StageResult:
    """What a stage that did its work says."""

    outcome: Outcome
    details: Details


class DetailedStageError(StageError):
    """A failure that has more to say than its message: the data report of InvalidData."""

    def __init__(
        self, failure: FailureClass, message: str, details: Details, *, run_id: str = ""
    ) -> None:
        super().__init__(failure, message)
        self.details = details
        self.run_id = run_id


StageFunction = Callable[[StageContext], StageResult]


def read_request(environ: Mapping[str, str]) -> StageRequest:
    """Parse the request.

    Raises:
        StageError: it is missing, malformed or of another contract version.
    """
    return parse_request(environ, StageRequest)


def open_context(
    request: StageRequest, environ: Mapping[str, str], stop: threading.Event
) -> StageContext:
    """Open the output store and the writable places that the environment names."""
    work = Path(environ.get(contract.WORK_ENV, contract.DEFAULT_WORK))
    cache = Path(environ.get(contract.CACHE_ENV, contract.DEFAULT_CACHE))
    file_root = Path(environ.get(contract.FILE_ROOT_ENV, contract.DEFAULT_FILE_ROOT))
    secrets = secret_files(environ)
    output = request.spec.output
    for directory in (work, cache):
        directory.mkdir(parents=True, exist_ok=True)
    return StageContext(
        request=request,
        store=open_store(output.uri, output.storage, file_root=file_root, secrets=secrets),
        work=work,
        cache=cache,
        file_root=file_root,
        progress=ProgressTracker(request),
        stop=stop,
        secrets=secrets,
        pod_uid=environ.get(contract.POD_UID_ENV, ""),
        image=environ.get(contract.IMAGE_ENV, ""),
        limit=TimeLimit(request.limit, stop),
    )


def failed(request: StageRequest, error: StageError) -> StageResult:
    """The result that says why a stage did not do its work."""
    details = error.details if isinstance(error, DetailedStageError) else Details()
    run_id = error.run_id if isinstance(error, DetailedStageError) else request.run_id
    return StageResult(
        outcome=outcome_of(
            request,
            failure=error.failure,
            message=error.message[:MAX_TEXT],
            run_id=run_id,
            checkpoint_step=error.checkpoint_step,
        ),
        details=details,
    )


def outcome_of(request: StageRequest, **fields: object) -> Outcome:
    """An outcome that names this stage, run and attempt."""
    identity = {
        "stage": request.stage,
        "uid": request.job.uid,
        "run": request.run,
        "attempt": request.attempt,
    }
    return Outcome.model_validate({"run_id": request.run_id, **identity, **fields})


def write_outcome(path: Path, result: StageResult) -> None:
    """Put the two lines where the kubelet, or the local cluster, reads them."""
    write_lines(path, result.outcome, shorter(result.details))


def shorter(details: Details) -> Iterator[Details]:
    """The details, then with less and less of what is longest; the store keeps it all.

    What the pointer names is kept to the last: the status has to agree with it.
    """
    yield details
    details = details.model_copy(update={"resolved": []})
    yield details
    data = details.data
    while data is not None and data.errors:
        data = data.model_copy(update={"errors": data.errors[:-1]})
        yield details.model_copy(update={"data": data})
    judged = details.evaluation
    if judged is not None:
        yield details.model_copy(update={"evaluation": judged.model_copy(update={"notes": []})})
        yield details.model_copy(update={"evaluation": _figures(judged)})
    yield Details(promoted=details.promoted, cost=details.cost)
    yield Details(promoted=details.promoted)


def _figures(judged: Judgement) -> Judgement:
    """Without what only the report needs."""
    return judged.model_copy(update={"notes": [], "comparisons": [], "guards": []})


def store_outcome(store: Store, result: StageResult) -> None:
    """Keep the durable copy, once the run has an id to keep it under."""
    if not result.outcome.run_id:
        return
    first = result.outcome.model_dump_json(exclude_defaults=True)
    second = result.details.model_dump_json(exclude_defaults=True)
    key = layout.outcome(result.outcome.run_id, result.outcome.stage.value)
    store.write(key, f"{first}\n{second}\n".encode())


def exit_code(outcome: Outcome) -> int:
    """The process exit code that carries the failure class."""
    return 0 if outcome.failure is None else EXIT_CODES[outcome.failure]
