"""A stage ends with one outcome and the exit code of its class, whatever happens."""

import errno
import json

import pytest
from builders.requests import a_request, a_spec

from trainer import __main__ as command
from trainer import stage as frame
from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.contract.outcome import MAX_OUTCOME_BYTES, Details, Outcome
from trainer.contract.request import Stage
from trainer.errors import FencedError, StageError

FAULTS = [
    pytest.param(
        StageError(FailureClass.INVALID_DATA, "line 3"), FailureClass.INVALID_DATA, id="user error"
    ),
    pytest.param(FencedError("epoch 2"), FailureClass.SUPERSEDED, id="fenced"),
    pytest.param(
        OSError(errno.ENOSPC, "No space", "/data"),
        FailureClass.HOST_STORAGE_EXCEEDED,
        id="disk full",
    ),
    pytest.param(
        PermissionError(errno.EACCES, "denied", "/data"),
        FailureClass.ACCESS_DENIED,
        id="not writable",
    ),
    pytest.param(OSError(errno.EIO, "I/O", "/data"), FailureClass.UNAVAILABLE, id="I/O error"),
    pytest.param(KeyError("bug"), FailureClass.UNEXPECTED, id="a bug of ours"),
]


@pytest.fixture
def environ(tmp_path):
    return {
        "TUNEKEEPER_REQUEST": a_request(tmp_path).model_dump_json(),
        "TUNEKEEPER_OUTCOME": str(tmp_path / "outcome"),
        "TUNEKEEPER_LISTEN": "127.0.0.1:0",
        "TUNEKEEPER_WORK": str(tmp_path / "work"),
        "TUNEKEEPER_CACHE": str(tmp_path / "cache"),
        "TUNEKEEPER_FILE_ROOT": str(tmp_path),
    }


def run_with(monkeypatch, environ, work):
    monkeypatch.setattr(command, "stage_function", lambda _stage: work)
    monkeypatch.setattr(command, "stop_on_signals", frame.threading.Event)
    return command.main(["prepare"], environ)


def read_outcome(tmp_path):
    lines = (tmp_path / "outcome").read_text().splitlines()
    return Outcome.model_validate_json(lines[0])


@pytest.mark.parametrize(("fault", "expected"), FAULTS)
def test_every_fault_becomes_its_class_and_exit_code(
    monkeypatch, tmp_path, environ, fault, expected
):
    def work(_context):
        raise fault

    assert run_with(monkeypatch, environ, work) == EXIT_CODES[expected]
    assert read_outcome(tmp_path).failure is expected


def test_work_done_is_written_twice_and_exits_with_zero(monkeypatch, tmp_path, environ):
    def work(context):
        outcome = frame.outcome_of(context.request, run_id="a" * 16)
        return frame.StageResult(outcome, Details())

    assert run_with(monkeypatch, environ, work) == 0
    assert read_outcome(tmp_path).failure is None
    stored = tmp_path / "output" / "runs" / ("a" * 16) / "prepare-outcome.json"
    assert stored.read_text() == (tmp_path / "outcome").read_text()


def details_of(**fields):
    return Details.model_validate(fields)


LONGEST = "s3://" + "b" * 1100
IN_USE = {
    "sequence": 3,
    "runId": "a" * 16,
    "adapterURI": "s3://b/a",
    "adapterDigest": f"sha256:{'a' * 64}",
    "baseRevision": "r",
    "time": "2026-03-01T12:00:00Z",
}
GUARD = {"name": "g", "value": 1, "limit": 2, "passed": True, "message": "m" * 500}


def judged(**fields):
    comparison = {
        "arm": "ZeroShot",
        "require": "Better",
        "threshold": 0,
        "delta": 0.1,
        "ciLow": 0,
        "ciHigh": 1,
        "method": "Tango",
        "passed": True,
    }
    known = {"metric": "ExactMatch", "verdict": "Promote", "reason": "so"}
    return {**known, "comparisons": [comparison], **fields}


LONG = [
    pytest.param(
        details_of(resolved=[{"field": "x" * 50, "value": "y", "rule": "z" * 200}] * 40),
        lambda kept: kept.resolved == [],
        id="resolved values go first",
    ),
    pytest.param(
        details_of(data={"errors": [{"place": "p" * 150, "message": "m" * 300}] * 10, "rows": 12}),
        lambda kept: 1 < len(kept.data.errors) < 10 and kept.data.rows == 12,
        id="then as many errors as it takes",
    ),
    pytest.param(
        details_of(evaluation=judged(notes=["n" * 600] * 8), promoted=IN_USE),
        lambda kept: kept.evaluation.notes == [] and kept.evaluation.comparisons,
        id="then the notes of a judgement",
    ),
    pytest.param(
        details_of(evaluation=judged(guards=[GUARD] * 8), promoted=IN_USE),
        lambda kept: kept.evaluation.verdict == "Promote" and kept.promoted.sequence == 3,
        id="then its guards and comparisons",
    ),
    pytest.param(
        details_of(evaluation=judged(metric="x" * 4000), promoted=IN_USE | {"adapterURI": LONGEST}),
        lambda kept: kept.evaluation is None and kept.promoted.adapter_uri == LONGEST,
        id="what is in use is kept to the last",
    ),
]


@pytest.mark.parametrize(("details", "holds"), LONG)
def test_a_termination_message_keeps_what_fits_into_four_kibibytes(tmp_path, details, holds):
    outcome = frame.outcome_of(a_request(tmp_path), message="m" * 400)
    frame.write_outcome(tmp_path / "outcome", frame.StageResult(outcome, details))
    text = (tmp_path / "outcome").read_text()
    assert len(text.encode()) <= 4096
    assert holds(Details.model_validate_json(text.splitlines()[1]))


REQUESTS = [
    pytest.param(None, "TUNEKEEPER_REQUEST is not set", id="no request"),
    pytest.param("{", "Invalid JSON", id="no JSON"),
    pytest.param({"version": 99}, "contract version 99", id="another contract"),
    pytest.param({"run": 0}, "run: Input should be greater", id="a field out of range"),
]


@pytest.mark.parametrize(("change", "message"), REQUESTS)
def test_a_bad_request_is_a_user_error_in_one_line(monkeypatch, environ, capsys, change, message):
    document = json.loads(environ.pop("TUNEKEEPER_REQUEST"))
    if isinstance(change, dict):
        environ["TUNEKEEPER_REQUEST"] = json.dumps(document | change)
    elif change is not None:
        environ["TUNEKEEPER_REQUEST"] = change
    code = run_with(monkeypatch, environ, lambda _context: None)
    printed = capsys.readouterr().err
    assert code == EXIT_CODES[FailureClass.INVALID_SPEC]
    assert message in printed
    assert len(printed.splitlines()) == 1


def test_every_stage_names_a_module():
    assert {*command.STAGES, Stage.COLLECT} == set(Stage)
    assert command.main(["nonsense"], {}) == EXIT_CODES[FailureClass.INVALID_SPEC]


def test_every_failure_class_has_its_own_exit_code():
    assert set(EXIT_CODES) == set(FailureClass)
    assert len(set(EXIT_CODES.values())) == len(EXIT_CODES)


def test_a_message_in_any_script_leaves_the_outcome_readable(tmp_path):
    error = StageError(FailureClass.NOT_FOUND, "数据在哪里" * 200)
    path = tmp_path / "outcome"
    frame.write_outcome(path, frame.failed(a_request(tmp_path), error))
    first = path.read_bytes().splitlines()[0]
    assert len(first) <= MAX_OUTCOME_BYTES
    told = Outcome.model_validate_json(first)
    assert told.failure is FailureClass.NOT_FOUND
    assert told.message.startswith("数据在哪里")


RANKS = [
    pytest.param(0, 8, 1, id="the CPU is one process"),
    pytest.param(1, 8, 1, id="one GPU of many"),
    pytest.param(4, 8, 4, id="four GPUs of eight"),
    pytest.param(4, 2, 2, id="no more than there are"),
    pytest.param(4, 0, 1, id="a machine without GPUs"),
]


def asking_for(gpus, root):
    """The environment of a train stage."""
    request = a_request(root, Stage.TRAIN, spec=a_spec(root, gpus=gpus))
    return {"TUNEKEEPER_REQUEST": request.model_dump_json()}


@pytest.mark.parametrize(("gpus", "present", "ranks"), RANKS)
def test_train_has_a_rank_for_each_gpu_that_is_wanted_and_there(
    monkeypatch, tmp_path, gpus, present, ranks
):
    monkeypatch.setattr("torch.cuda.device_count", lambda: present)
    assert command.ranks_for(asking_for(gpus, tmp_path)) == ranks


def test_a_rank_starts_no_ranks(monkeypatch, tmp_path):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 8)
    place = {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}
    assert command.ranks_for(asking_for(4, tmp_path) | place) == 1


def test_a_request_that_cannot_be_read_is_one_process_which_says_so(capsys):
    assert command.ranks_for({}) == 1
    assert command.main(["train"], {}) == EXIT_CODES[FailureClass.INVALID_SPEC]
    assert "TUNEKEEPER_REQUEST is not set" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["judge", "--ranks", "2"], id="of another stage"),
        pytest.param(["train", "--ranks"], id="without a number"),
        pytest.param(["train", "--ranks", "two"], id="no number"),
        pytest.param(["train", "--ranks", "2", "3"], id="two numbers"),
    ],
)
def test_ranks_are_asked_for_in_one_way(capsys, words):
    assert command.main(words, {}) == EXIT_CODES[FailureClass.INVALID_SPEC]
    assert "usage: python -m trainer" in capsys.readouterr().err
