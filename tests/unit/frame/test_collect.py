"""The stage collect leaves the last word of the very attempt, or says that there is none."""

import json
from pathlib import Path
from typing import Any

import pytest
from builders.requests import a_request

from trainer import __main__ as command
from trainer import stage as frame
from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.contract.outcome import Details, Outcome
from trainer.contract.request import Stage
from trainer.errors import FencedError, PeerLostError, StageError
from trainer.stage import StageResult
from trainer.store.file import FileStore

RUN = "0123456789abcdef"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    request = a_request(
        tmp_path, Stage.COLLECT, runId=RUN, attempt=3, lost={"stage": "train", "attempt": 2}
    )
    return {
        "TUNEKEEPER_REQUEST": request.model_dump_json(),
        "TUNEKEEPER_OUTCOME": str(tmp_path / "outcome"),
        "TUNEKEEPER_FILE_ROOT": str(tmp_path),
    }


def stored(root: Path, details: Details | None = None, **fields: Any) -> Outcome:
    """What a train stage left in the store."""
    told = {"stage": "train", "uid": "uid-1", "run": 1, "attempt": 2, "run_id": RUN}
    outcome = Outcome.model_validate(told | fields)
    frame.store_outcome(FileStore(root / "output"), StageResult(outcome, details or Details()))
    return outcome


def said(root: Path) -> tuple[Outcome, Details]:
    first, _, second = (root / "outcome").read_text().partition("\n")
    return Outcome.model_validate_json(first), Details.model_validate_json(second)


def test_the_lost_word_becomes_its_own_with_the_details(tmp_path, environ):
    details = Details.model_validate({"cost": {"tokensPerSecond": 7}})
    outcome = stored(tmp_path, details, adapter_digest="sha256:" + "a" * 64)
    assert command.main(["collect"], environ) == 0
    assert said(tmp_path) == (outcome, details)


def test_that_the_attempt_failed_is_no_failure_of_the_look(tmp_path, environ):
    outcome = stored(tmp_path, failure=FailureClass.DIVERGED, message="at step 7")
    assert command.main(["collect"], environ) == 0
    assert said(tmp_path)[0] == outcome


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"attempt": 1}, id="of an older attempt"),
        pytest.param({"run": 9}, id="of another run that has the same id"),
        pytest.param({"uid": "uid-2"}, id="of the object that had the name before"),
        pytest.param(None, id="none at all"),
    ],
)
def test_where_the_attempt_left_none_it_says_so(tmp_path, environ, other):
    if other is not None:
        stored(tmp_path, **other)
    assert command.main(["collect"], environ) == 0
    outcome = said(tmp_path)[0]
    assert (outcome.stage, outcome.attempt, outcome.failure) == (Stage.COLLECT, 3, None)
    assert outcome.message == "there is no outcome of train, attempt 2, in the output"


@pytest.mark.parametrize("text", ["", "not json\n", '{"stage": "train"}\n'])
def test_what_is_no_outcome_is_none(tmp_path, environ, text):
    FileStore(tmp_path / "output").write(f"runs/{RUN}/train-outcome.json", text.encode())
    assert command.main(["collect"], environ) == 0
    assert said(tmp_path)[0].stage is Stage.COLLECT


def test_a_place_that_cannot_be_read_is_a_failure_with_its_class(tmp_path, environ):
    environ["TUNEKEEPER_FILE_ROOT"] = str(tmp_path / "elsewhere")
    assert command.main(["collect"], environ) == EXIT_CODES[FailureClass.ACCESS_DENIED]
    assert said(tmp_path)[0].failure is FailureClass.ACCESS_DENIED


def test_a_request_that_names_no_attempt_is_refused(environ):
    document = json.loads(environ["TUNEKEEPER_REQUEST"]) | {"lost": None}
    environ["TUNEKEEPER_REQUEST"] = json.dumps(document)
    assert command.main(["collect"], environ) == EXIT_CODES[FailureClass.INVALID_SPEC]


def worked(monkeypatch, tmp_path, error: Exception) -> Path:
    """A train stage that fails so; where its word is kept."""

    def work(_context):
        raise error

    monkeypatch.setattr(command, "stage_function", lambda _stage: work)
    monkeypatch.setattr(command, "stop_on_signals", frame.threading.Event)
    environ = {
        "TUNEKEEPER_REQUEST": a_request(tmp_path, Stage.TRAIN, runId=RUN).model_dump_json(),
        "TUNEKEEPER_OUTCOME": str(tmp_path / "outcome"),
        "TUNEKEEPER_LISTEN": "127.0.0.1:0",
        "TUNEKEEPER_WORK": str(tmp_path / "work"),
        "TUNEKEEPER_CACHE": str(tmp_path / "cache"),
        "TUNEKEEPER_FILE_ROOT": str(tmp_path),
    }
    command.main(["train"], environ)
    return tmp_path / "output" / "runs" / RUN / "train-outcome.json"


def test_a_failure_is_kept_in_the_store_too_with_its_checkpoint(monkeypatch, tmp_path):
    error = StageError(FailureClass.INTERRUPTED, "told to stop")
    error.checkpoint_step = 7
    lines = worked(monkeypatch, tmp_path, error).read_text().splitlines()
    kept = Outcome.model_validate_json(lines[0])
    assert kept == said(tmp_path)[0]
    assert (kept.failure, kept.checkpoint_step) == (FailureClass.INTERRUPTED, 7)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(FencedError("epoch 2"), id="the run is another's"),
        pytest.param(PeerLostError("no answer"), id="the cause is another rank's"),
        pytest.param(StageError(FailureClass.UNAVAILABLE, "away"), id="the store is away"),
        pytest.param(StageError(FailureClass.ACCESS_DENIED, "no"), id="the store refuses"),
    ],
)
def test_no_word_is_written_where_the_store_is_not_to_be_touched(monkeypatch, tmp_path, error):
    assert not worked(monkeypatch, tmp_path, error).exists()
