"""The command: what it prints where, and how it ends."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from builders.job_files import environment, fake_command, job_text
from typer.testing import CliRunner, Result

from controller import cli

PREPARE_FAILS = {"prepare": [{"do": "fail", "failure": "InvalidData", "message": "bad rows"}]}


@pytest.fixture
def tunekeeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def call(*arguments: str, plan: dict | None = None) -> Result:
        for name, value in environment(tmp_path, plan).items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        return CliRunner().invoke(cli.app, arguments)

    (tmp_path / "job.yaml").write_text(job_text())
    return call


def test_run_ends_with_the_comparison_and_the_way_to_use_it(tunekeeper) -> None:
    ended = tunekeeper("run", "job.yaml")
    assert ended.exit_code == 0
    for part in ("Tuning was worth it.", "ZeroShot", "+25.0", "Promote: The tuned", "import peft"):
        assert part in ended.stdout
    assert "prepare done" in ended.stderr


def test_json_has_standard_output_to_itself(tunekeeper) -> None:
    ended = tunekeeper("run", "job.yaml", "--json")
    (job,) = json.loads(ended.stdout)["jobs"]
    assert (job["name"], job["exitCode"], job["status"]["phase"]) == ("intents", 0, "Succeeded")
    assert job["report"]["judgement"]["verdict"] == "Promote"


def test_fail_unless_promoted_is_for_pipelines(tunekeeper) -> None:
    ended = tunekeeper("run", "job.yaml", "--fail-unless", "promoted")
    assert ended.exit_code == 1
    assert "the adapter in use is not this run's" in ended.stderr


def test_an_error_is_one_line_with_its_place(tunekeeper) -> None:
    ended = tunekeeper("run", "job.yaml", plan=PREPARE_FAILS)
    assert ended.exit_code == 2
    assert "error: prepare: bad rows" in ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(None, "job.yaml: cannot be read", id="a missing file"),
        pytest.param("a: [", "job.yaml", id="unreadable YAML"),
        pytest.param("kind: BaseModel\n", "job.yaml", id="no job"),
        pytest.param(job_text(base="{name: other}"), "names BaseModel other", id="no base model"),
    ],
)
def test_a_bad_file_is_the_users_error(tunekeeper, tmp_path: Path, text, said: str) -> None:
    file = tmp_path / "job.yaml"
    file.unlink() if text is None else file.write_text(text)
    ended = tunekeeper("check", "job.yaml")
    assert ended.exit_code == 2
    assert ended.stderr.startswith("error: ")
    assert said in ended.stderr


def test_report_tells_of_an_output_without_one(tunekeeper) -> None:
    ended = tunekeeper("report", "file:///nothing")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "has no report" in ended.stderr


def test_report_shows_prints_and_finds_the_page(tunekeeper) -> None:
    assert "Tuning was worth it." in tunekeeper("report", "/out").stdout
    assert json.loads(tunekeeper("report", "/out", "--json").stdout)["runId"]
    assert tunekeeper("report", "/out", "--html").stdout == "/out/report.html\n"


def test_crd_prints_both_kinds(tunekeeper) -> None:
    assert tunekeeper("crd").stdout.count("kind: CustomResourceDefinition") == 2
    assert len(json.loads(tunekeeper("crd", "--json").stdout)) == 2


@pytest.mark.parametrize("width", [80, 120])
def test_no_table_is_wider_than_the_terminal(tunekeeper, monkeypatch, width: int) -> None:
    ended = tunekeeper("report", "/out")
    assert ended.exit_code == 0
    monkeypatch.setenv("COLUMNS", str(width))
    shown = CliRunner().invoke(cli.app, ["report", "/out"])
    assert max(map(len, shown.stdout.splitlines())) <= width


def test_ctrl_c_lets_the_stage_checkpoint_and_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(job_text())
    started = [sys.executable, "-c", "from controller.cli import main; main()", "run", "job.yaml"]
    env = environment(tmp_path, {"train": [{"do": "wait"}]})
    assert fake_command()[0] in env["TUNEKEEPER_TRAINER"]
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        started, env=env, cwd=tmp_path, text=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as command:
        assert command.stderr is not None
        lines = iter(command.stderr.readline, "")
        next(line for line in lines if line.startswith("train"))
        next(line for line in lines if "reading rows" in line)  # it serves: it can be told
        command.send_signal(signal.SIGINT)
        _, err = command.communicate(timeout=60)
    assert command.returncode == 130
    assert "Interrupted" in err
    assert "the same command goes on from the last checkpoint" in err
