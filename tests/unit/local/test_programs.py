"""A grader that this machine does not have is told before anything runs."""

from pathlib import Path

import pytest
from builders.job_files import environment, job_text
from typer.testing import CliRunner, Result

from controller import cli
from controller.api.documents import parse

HERE = "/home/me/job"

WORDS = [
    pytest.param("[python3, ./grade.py]", ["python3", f"{HERE}/grade.py"], id="a script beside it"),
    pytest.param("[./grade]", [f"{HERE}/grade"], id="a program beside it"),
    pytest.param("[grade, --at=./x, ../y]", ["grade", "--at=./x", "../y"], id="any other word"),
    pytest.param("[/opt/grade]", ["/opt/grade"], id="a path of an image"),
]


def graded(command: str) -> str:
    section = f"  evaluation: {{metric: Grader, grader: {{command: {command}}}}}\n"
    return job_text() + section


@pytest.mark.parametrize(("command", "expected"), WORDS)
def test_a_place_beside_the_file_is_made_whole_in_a_graders_command(command, expected):
    [job] = parse(graded(command), file="job.yaml", base=HERE)
    assert job.spec.evaluation.grader.command == expected


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.py").write_text("")

    def run(word: str, command: str) -> Result:
        (tmp_path / "job.yaml").write_text(graded(command))
        return CliRunner().invoke(cli.app, [word, "job.yaml"])

    return run


MISSING = [
    pytest.param("[no-such-program]", "names no-such-program, and", id="not on the PATH"),
    pytest.param("[/opt/no/such]", "names /opt/no/such, and", id="not at its path"),
    pytest.param("[bin/grade]", "names bin/grade, and", id="a path relative to nothing"),
    pytest.param(
        "[python3, ./gone.py]", "/gone.py, which is not there", id="a script that is gone"
    ),
]


@pytest.mark.parametrize(("command", "told"), MISSING)
def test_run_refuses_a_grader_that_is_not_here(call, command, told):
    ended = call("run", command)
    assert ended.exit_code == 2
    assert ended.stderr.startswith("error: job.yaml spec.evaluation.grader.command: names ")
    assert told in ended.stderr
    assert "prepare" not in ended.stderr


@pytest.mark.parametrize(("command", "told"), MISSING)
def test_check_only_notes_it_for_an_image_may_have_it(call, command, told):
    ended = call("check", command)
    assert ended.exit_code == 0
    assert "note: job.yaml spec.evaluation.grader.command: names " in ended.stderr
    assert told in ended.stderr


@pytest.mark.parametrize("command", ["[python3, ./there.py, ./new.jsonl]", "[python3, -m, grade]"])
def test_a_grader_that_is_here_is_not_spoken_of(call, command):
    for word in ("run", "check"):
        ended = call(word, command)
        assert ended.exit_code == 0
        assert "grader.command" not in ended.stderr


HALVES = [
    pytest.param("metric: Grader", id="a metric without its grader"),
    pytest.param("grader: {command: [python3]}", id="a grader without its metric"),
]


@pytest.mark.parametrize("half", HALVES)
def test_check_explains_that_one_needs_the_other(tmp_path, half):
    file = tmp_path / "job.yaml"
    file.write_text(f"{job_text()}  evaluation: {{{half}}}\n")
    ended = CliRunner().invoke(cli.app, ["check", str(file)])
    assert ended.exit_code == 2
    assert f"{file}:9 spec.evaluation.grader: " in ended.stderr
    assert "grader and metric: Grader belong together; set both or neither" in ended.stderr
