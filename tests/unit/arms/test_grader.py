"""A grader that keeps to its contract is heard; any other is refused early, and in words."""

import json
import os
import resource
import threading
from pathlib import Path

import pytest
from builders.graders import EXACT, a_grader, program, questions
from cluster.process import wait_until

from trainer.arms.grader import Grade
from trainer.contract.failures import FailureClass
from trainer.errors import StageError

SECRET = "the-value-of-a-row"  # noqa: S105 - nobody's

GOOD = [
    pytest.param(EXACT, [Grade(1.0), Grade(0.0)], id="one score for each answer"),
    pytest.param(
        'for a in reversed(asked): say(id=a["id"], score=float(a["answer"] == "w7"))',
        [Grade(1.0), Grade(0.0)],
        id="in any order",
    ),
    pytest.param(
        'for a in asked: say(id=a["id"], score=1, flags=["short", "refusal", "short"])',
        [Grade(1.0, ("short", "refusal"))] * 2,
        id="with flags, each of them once",
    ),
    pytest.param(
        'for a in asked: print(); say(id=a["id"], score=0.25)',
        [Grade(0.25)] * 2,
        id="with empty lines between",
    ),
    pytest.param(
        f"{EXACT}\nsys.stderr.write('x' * 300_000)",
        [Grade(1.0), Grade(0.0)],
        id="with more on standard error than a pipe holds",
    ),
    pytest.param(
        f"{EXACT}\nsys.stdout.flush()\nimport subprocess\nsubprocess.Popen(['sleep', '600'])",
        [Grade(1.0), Grade(0.0)],
        id="that leaves a process behind, which holds its pipes",
    ),
]


@pytest.mark.parametrize(("body", "expected"), GOOD)
def test_a_grader_that_answers_is_heard(tmp_path, body, expected):
    assert a_grader(tmp_path, body).grade(questions("w7", "w8")) == expected


BAD = [
    pytest.param(
        "sys.exit(3)", "exited with 3; its standard error is in the stage's log", id="it fails"
    ),
    pytest.param(f"raise KeyError('{SECRET}')", "exited with 1; ", id="it raises"),
    pytest.param(f"{EXACT}\nsys.exit(1)", "exited with 1; ", id="it fails after its last grade"),
    pytest.param("os.abort()", "was killed by SIGABRT; it may need more memory", id="it is killed"),
    pytest.param("pass", "graded 0 of 2 answers; every id needs one line", id="it says nothing"),
    pytest.param(
        'say(id="q0", score=1)', "graded 1 of 2 answers; every id needs one line", id="too few ids"
    ),
    pytest.param(
        f"{EXACT}\nsay(id='{SECRET}', score=1)",
        "line 3 of its standard output has an id that was not asked for",
        id="an id of its own",
    ),
    pytest.param(
        f"{EXACT}\nsay(id='q0', score=1)",
        "line 3 of its standard output has the id of line 1 again",
        id="an id twice",
    ),
    pytest.param(
        'for a in asked: say(id=a["id"], score=1.01)',
        "line 1 of its standard output has a score that is not from 0 to 1",
        id="a score above 1",
    ),
    pytest.param(
        'for a in asked: say(id=a["id"], score=-0.1)', "not from 0 to 1", id="a score below 0"
    ),
    pytest.param(
        'for a in asked: say(id=a["id"], score=float("nan"))', "not from 0 to 1", id="NaN"
    ),
    pytest.param(
        'for a in asked: say(id=a["id"], score=float("inf"))', "not from 0 to 1", id="infinity"
    ),
    pytest.param(
        'for a in asked: say(id=a["id"], score=10**400)',
        "not from 0 to 1",
        id="a huge whole number",
    ),
    pytest.param(
        'for a in asked: say(id=a["id"], score=True)', "has no score, which is a number", id="true"
    ),
    pytest.param(
        'for a in asked: say(id=a["id"], score="1")', "has no score, which is a number", id="a text"
    ),
    pytest.param(
        'for a in asked: say(id=a["id"])', "has no score, which is a number", id="no score"
    ),
    pytest.param("say(score=1)", "has no id, which is a string", id="no id"),
    pytest.param("say(id=1, score=1)", "has no id, which is a string", id="a number as id"),
    pytest.param(
        f"print('{SECRET}')\n{EXACT}",
        "line 1 of its standard output is not a JSON object; write one {",
        id="a line that is not JSON",
    ),
    pytest.param(
        "print(asked)",
        "line 1 of its standard output is not a JSON object",
        id="a list of Python's",
    ),
    pytest.param(
        "print('[1]')",
        "line 1 of its standard output is not a JSON object",
        id="JSON that is no object",
    ),
    pytest.param(
        "sys.stdout.buffer.write(b'\\xff\\xfe')",
        "is not a JSON object",
        id="bytes that are no text",
    ),
    pytest.param("print('[' * 2_000)", "is not a JSON object", id="absurd nesting"),
    pytest.param(
        f'for a in asked: say(id=a["id"], score=1, reason="{SECRET}")',
        "has a key that is none of id, score and flags",
        id="a key of its own",
    ),
    pytest.param(
        f'for a in asked: say(id=a["id"], score=1, flags=["{SECRET} and more"])',
        "has flags that are no list of at most 4 words",
        id="a sentence as a flag",
    ),
    pytest.param(
        'for a in asked: say(id=a["id"], score=1, flags="short")',
        "has flags that are no list",
        id="a flag that is no list",
    ),
    pytest.param(
        'for a in asked: say(id=a["id"], score=1, flags=list("abcde"))',
        "has flags that are no list of at most 4",
        id="five flags",
    ),
    pytest.param(
        "while True: sys.stdout.write('x' * 65536)",
        "wrote far more to standard output than the grades of 2 answers",
        id="it floods standard output",
    ),
    pytest.param(
        "while True: sys.stderr.write('x' * 65536)",
        "floods standard error",
        id="it floods standard error",
    ),
]


@pytest.mark.parametrize(("body", "told"), BAD)
def test_a_grader_that_does_not_is_refused_in_words_without_values(tmp_path, body, told):
    with pytest.raises(StageError) as caught:
        a_grader(tmp_path, body).grade(questions("w7", SECRET))
    assert caught.value.failure is FailureClass.INVALID_SPEC
    assert caught.value.message.startswith("spec.evaluation.grader: the grader ")
    assert told in caught.value.message
    assert SECRET not in caught.value.message


UNSTARTABLE = [
    pytest.param(["no-such-program"], "No such file", id="it is not on the PATH"),
    pytest.param(["/no/such/program"], "No such file", id="its path leads nowhere"),
    pytest.param(["/etc/passwd"], "Permission denied", id="it is no program"),
    pytest.param(["sh", "-c", "\0"], "null byte", id="an argument that none can be"),
]


@pytest.mark.parametrize(("command", "why"), UNSTARTABLE)
def test_a_grader_that_cannot_be_started_is_named(tmp_path, command, why):
    with pytest.raises(StageError, match=why) as caught:
        a_grader(tmp_path, command=command).grade(questions("w7"))
    assert caught.value.failure is FailureClass.INVALID_SPEC
    assert (
        f"spec.evaluation.grader.command: {command[0]!r} cannot be started" in caught.value.message
    )


def test_a_grader_that_hangs_is_ended_with_all_that_it_started(tmp_path):
    body = (
        "import subprocess\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "print(child.pid, file=open('child', 'w'), flush=True)\n"
        "time.sleep(600)"
    )
    with pytest.raises(StageError, match="did not end within 1 s") as caught:
        a_grader(tmp_path, body, limit_s=1).grade(questions("w7"))
    assert caught.value.failure is FailureClass.INVALID_SPEC
    child = int((tmp_path / "grader" / "child").read_text())
    wait_until(lambda: is_gone(child), "its child to be gone")


@pytest.mark.parametrize(
    "reading", ["pass", "os.read(0, 8192)"], ids=["nothing", "less than was written"]
)
def test_a_grader_that_hangs_and_has_not_read_it_all_is_ended_too(tmp_path, reading):
    command = program("import os, time", reading, "time.sleep(600)", reads=False)
    grader = a_grader(tmp_path, command=command, limit_s=1)
    with pytest.raises(StageError, match="did not end within 1 s"):
        grader.grade(questions("x" * 300_000))


def test_a_grader_that_ends_without_reading_is_told_by_its_exit_code(tmp_path):
    grader = a_grader(tmp_path, command=program("raise SystemExit(3)", reads=False))
    with pytest.raises(StageError, match="exited with 3"):
        grader.grade(questions("x" * 300_000))


def test_a_grader_is_ended_when_the_stage_is_told_to_stop(tmp_path):
    stop = threading.Event()
    body = "open('pid', 'w').write(str(os.getpid()))\ntime.sleep(600)"
    pid = tmp_path / "grader" / "pid"

    def stop_when_started():
        wait_until(lambda: pid.exists() and pid.read_text(), "the grader to start")
        stop.set()

    thread = threading.Thread(target=stop_when_started)
    thread.start()
    with pytest.raises(StageError, match="finished grades are kept") as caught:
        a_grader(tmp_path, body, stop=stop).grade(questions("w7"))
    thread.join()
    assert caught.value.failure is FailureClass.INTERRUPTED
    assert is_gone(int(pid.read_text()))


def test_what_it_writes_takes_no_memory_of_ours(tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(StageError, match="floods standard error"):
        a_grader(tmp_path, "while True: sys.stderr.write('x' * 65536)").grade(questions("w7"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 << 10  # KiB


SECRETS = {
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
    "AWS_SESSION_TOKEN": "c",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/secrets/token",
    "HF_TOKEN": "d",
    "TUNEKEEPER_SECRETS": "/var/run/tunekeeper",
    "TUNEKEEPER_REQUEST": "{}",
    "MY_API_KEY": "e",
    "PYTHONPATH": "/x",
}


def test_it_gets_no_credentials_and_works_in_a_folder_of_its_own(tmp_path):
    body = f"json.dump([dict(os.environ), os.getcwd()], open('seen', 'w'))\n{EXACT}"
    a_grader(tmp_path, body, **SECRETS, LANG="C.UTF-8").grade(questions("w7"))
    environ, folder = json.loads((tmp_path / "grader" / "seen").read_text())
    assert folder == str(tmp_path / "grader")
    assert environ.items() >= {"HOME": folder, "TMPDIR": folder, "PATH": "/usr/bin:/bin"}.items()
    assert set(environ) <= {"HOME", "TMPDIR", "PATH", "LANG", "LC_CTYPE"}  # Python adds the last


def test_it_is_told_the_item_and_no_arm(tmp_path):
    body = f"json.dump(asked, open('seen', 'w'))\n{EXACT}"
    a_grader(tmp_path, body).grade(questions("Zürich \ud800", reference="Bern"))
    assert json.loads((tmp_path / "grader" / "seen").read_text()) == [
        {
            "id": "q0",
            "prompt": [{"role": "user", "content": "tell"}],
            "references": ["Bern"],
            "answer": "Zürich \ud800",
        }
    ]


def test_what_it_prints_for_people_is_in_the_log_up_to_a_bound(tmp_path, capsys):
    a_grader(tmp_path, f"{EXACT}\nprint('x' * 100_000 + 'loading', file=sys.stderr)").grade(
        questions("w7")
    )
    logged = capsys.readouterr().err
    assert logged.startswith("the grader's standard error, its end:\n")
    assert "xloading" in logged
    assert len(logged) < 20_000


def is_gone(pid: int) -> bool:
    """Whether the process has ended; one that waits to be collected has."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return True
    return state == "Z"
