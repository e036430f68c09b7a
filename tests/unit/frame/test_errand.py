"""An errand ends with one outcome and the exit code of its class, whatever happens."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from builders.errands import a_resolve, a_write_back, errand_environment, read_last_word

from trainer import __main__ as command
from trainer import errand as frame
from trainer.contract.errand import MAX_MEMO, Cause, Errand, ErrandDetails
from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.contract.outcome import MAX_MESSAGE_BYTES, MAX_OUTCOME_BYTES
from trainer.errors import StageError

FAULTS = [
    pytest.param(
        StageError(FailureClass.NOT_FOUND, "no such repository"),
        FailureClass.NOT_FOUND,
        id="user error",
    ),
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
    return errand_environment(tmp_path, a_resolve())


@pytest.fixture
def run(monkeypatch, environ):
    """Runs ``resolve`` with other work; returns the exit code."""
    monkeypatch.setattr(frame, "end_on_signals", lambda _stop, _speak: None)

    def run(work):
        monkeypatch.setattr(frame, "errand_function", lambda _errand: work)
        return command.main(["resolve"], environ)

    return run


def raising(fault):
    def work(_context):
        raise fault

    return work


@pytest.mark.parametrize(("fault", "expected"), FAULTS)
def test_every_fault_becomes_its_class_and_exit_code(run, tmp_path, fault, expected):
    assert run(raising(fault)) == EXIT_CODES[expected]
    outcome, _ = read_last_word(tmp_path)
    assert (outcome.failure, outcome.uid, outcome.number) == (expected, "uid-1", 3)
    assert outcome.message


def test_a_cause_and_the_time_of_the_next_try_are_told(run, tmp_path):
    fault = StageError(
        FailureClass.UNAVAILABLE, "slow down", cause=Cause.RATE_LIMITED, retry_after_s=55
    )
    assert run(raising(fault)) == EXIT_CODES[FailureClass.UNAVAILABLE]
    outcome, _ = read_last_word(tmp_path)
    assert (outcome.cause, outcome.retry_after_seconds) == (Cause.RATE_LIMITED, 55)


def test_what_a_failure_has_learnt_on_the_way_is_kept(run, tmp_path):
    error = StageError(FailureClass.UNAVAILABLE, "gone", cause=Cause.RATE_LIMITED)
    run(raising(frame.DetailedErrandError(error, ErrandDetails(memo="abc"))))
    outcome, details = read_last_word(tmp_path)
    assert (outcome.cause, details.memo) == (Cause.RATE_LIMITED, "abc")


def test_work_done_exits_with_zero(run, tmp_path):
    def work(context):
        return frame.ErrandResult(frame.outcome_of(context.request), ErrandDetails(memo="m"))

    assert run(work) == 0
    outcome, details = read_last_word(tmp_path)
    assert (outcome.failure, details.memo) == (None, "m")


SCRIPTS = [
    pytest.param("m" * 400, id="plain"),
    pytest.param("模型在哪里" * 100, id="three bytes a character"),
    pytest.param('"\\' * 200, id="what JSON escapes"),
    pytest.param("\x01" * 400, id="what JSON writes with six characters"),
]


@pytest.mark.parametrize("message", SCRIPTS)
def test_the_message_gives_way_and_the_memo_stays(run, tmp_path, message):
    error = StageError(FailureClass.NOT_FOUND, message)
    run(raising(frame.DetailedErrandError(error, ErrandDetails(memo="A" * MAX_MEMO))))
    data = (tmp_path / "outcome").read_bytes()
    assert len(data.splitlines()[0]) <= MAX_OUTCOME_BYTES
    assert len(data) <= MAX_MESSAGE_BYTES
    outcome, details = read_last_word(tmp_path)
    assert message.startswith(outcome.message)
    assert outcome.message
    assert len(details.memo) == MAX_MEMO


def test_a_memo_without_room_is_dropped(run, tmp_path):
    details = ErrandDetails(memo="Я" * MAX_MEMO)
    run(lambda context: frame.ErrandResult(frame.outcome_of(context.request), details))
    assert len((tmp_path / "outcome").read_bytes()) <= MAX_MESSAGE_BYTES
    outcome, details = read_last_word(tmp_path)
    assert (outcome.failure, details.memo) == (None, "")


def test_an_outcome_that_cannot_be_written_still_has_its_exit_code(run, environ, tmp_path):
    environ["TUNEKEEPER_OUTCOME"] = str(tmp_path / "no" / "outcome")
    done = run(lambda context: frame.ErrandResult(frame.outcome_of(context.request)))
    assert done == EXIT_CODES[FailureClass.UNAVAILABLE]
    assert run(raising(KeyError())) == EXIT_CODES[FailureClass.UNEXPECTED]


REQUESTS = [
    pytest.param({"version": 99}, "contract version 99", id="another contract"),
    pytest.param({"memo": "x" * 9999}, "memo: String should have", id="a field out of range"),
    pytest.param({"git": {}}, "git: Extra inputs", id="a field of another release"),
    pytest.param({"errand": "write-back"}, "errand: Input should be", id="another's"),
]


@pytest.mark.parametrize(("change", "words"), REQUESTS)
def test_a_bad_request_is_told_to_whom_it_names(run, environ, tmp_path, change, words):
    environ["TUNEKEEPER_REQUEST"] = json.dumps(json.loads(environ["TUNEKEEPER_REQUEST"]) | change)
    assert run(None) == EXIT_CODES[FailureClass.INVALID_SPEC]
    outcome, _ = read_last_word(tmp_path)
    assert (outcome.uid, outcome.number) == ("uid-1", 3)
    assert words in outcome.message


UNREADABLE = [
    pytest.param("", "TUNEKEEPER_REQUEST is not set", id="no request"),
    pytest.param("{", "Invalid JSON", id="no JSON"),
    pytest.param("[]", "Input should be an object", id="no object"),
    pytest.param('{"number": -1, "baseModel": {"uid": 7}}', "baseModel.", id="nobody's"),
    pytest.param("[" * 99999, "Invalid JSON", id="a deep one"),
]


@pytest.mark.parametrize(("text", "words"), UNREADABLE)
def test_a_request_that_names_nobody_is_one_line_on_the_error_stream(
    run, environ, capsys, text, words
):
    environ["TUNEKEEPER_REQUEST"] = text
    assert run(None) == EXIT_CODES[FailureClass.INVALID_SPEC]
    printed = capsys.readouterr().err
    assert words in printed
    assert len(printed.splitlines()) == 1
    assert not Path(environ["TUNEKEEPER_OUTCOME"]).exists()


def test_the_context_has_what_the_environment_says(run, environ, tmp_path):
    seen = []
    environ["TUNEKEEPER_SECRETS"] = str(tmp_path / "secrets")

    def work(context):
        seen.append(context)
        return frame.ErrandResult(frame.outcome_of(context.request))

    assert run(work) == 0
    [context] = seen
    assert context.work == tmp_path / "work"
    assert context.work.is_dir()
    assert context.secrets.root == tmp_path / "secrets"
    assert context.now().tzinfo is not None


def test_work_that_counts_bytes_hears_of_the_stop(run, tmp_path):
    def work(context):
        context.stop.set()
        context.transfer.on_bytes(0)

    assert run(work) == EXIT_CODES[FailureClass.INTERRUPTED]
    assert read_last_word(tmp_path)[0].failure is FailureClass.INTERRUPTED


def test_who_speaks_second_is_not_heard(tmp_path):
    last_word = frame.LastWord(tmp_path / "outcome")
    done = frame.ErrandResult(frame.outcome_of(a_resolve()))
    assert last_word.speak(done) == 0
    stopped = frame.failed(a_resolve(), frame.interrupted(Errand.RESOLVE))
    assert last_word.speak(stopped) == 0
    assert read_last_word(tmp_path)[0].failure is None


def test_every_errand_has_a_request_and_a_module():
    assert set(frame.REQUESTS) == set(frame.WORK) == set(Errand)


def test_write_back_is_dispatched_too(monkeypatch, tmp_path):
    monkeypatch.setattr(frame, "end_on_signals", lambda _stop, _speak: None)
    monkeypatch.setattr(
        frame,
        "errand_function",
        lambda _errand: (
            lambda context: frame.ErrandResult(
                frame.outcome_of(context.request, commit="c" * 40, changed_files=2)
            )
        ),
    )
    environ = errand_environment(tmp_path, a_write_back())
    assert command.main(["write-back"], environ) == 0
    outcome, _ = read_last_word(tmp_path)
    assert (outcome.errand, outcome.commit) == (Errand.WRITE_BACK, "c" * 40)


STUBBORN = """
import sys, threading
from trainer import errand
from trainer.__main__ import main
errand.GRACE_S = 0.05
def work(context):
    print("started", flush=True)
    if sys.argv[1] == "deaf":
        threading.Event().wait()
    context.stop.wait()
    context.transfer.on_bytes(0)
errand.errand_function = lambda _errand: work
sys.exit(main(["resolve"]))
"""


@pytest.mark.parametrize("manner", ["deaf", "listening"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_the_code_for_interrupted(tmp_path, environ, manner, number):
    environment = os.environ | environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(  # noqa: S603 - our own text
        [sys.executable, "-c", STUBBORN, manner], env=environment, stdout=subprocess.PIPE
    ) as process:
        backstop = threading.Timer(60, process.kill)
        backstop.start()
        assert process.stdout.readline() == b"started\n"
        process.send_signal(number)
        code = process.wait()
        backstop.cancel()
    assert code == EXIT_CODES[FailureClass.INTERRUPTED]
    assert read_last_word(tmp_path)[0].failure is FailureClass.INTERRUPTED
