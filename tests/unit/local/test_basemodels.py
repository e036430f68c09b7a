"""Base models on this machine: real processes, the same decisions, before the jobs."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders.job_files import BASE, environment, job_text
from cluster.process import wait_until
from typer.testing import CliRunner, Result

from controller import cli
from controller.core.watching.observed import WatchSettings

ONLY_BASE = BASE.removeprefix("---\n")
WRITING = ONLY_BASE.replace(
    "spec: {", "spec: {writeBack: {git: {url: 'https://git.acme.test/m'}}, "
)
JOB_AND_BASE = job_text(base="{name: smol}") + BASE
NOT_FOUND = {"resolve": [{"do": "fail", "failure": "NotFound", "message": "no such branch"}]}
QUICK = WatchSettings(retry_base_s=0.01, is_local=True)
DOWN = {"do": "fail", "failure": "Unavailable", "message": "no answer"}


@pytest.fixture
def tunekeeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def call(*arguments: str, text: str = JOB_AND_BASE, plan: dict | None = None) -> Result:
        (tmp_path / "job.yaml").write_text(text)
        for name, value in environment(tmp_path, plan).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("controller.local.session.WATCH_SETTINGS", QUICK)
        monkeypatch.chdir(tmp_path)
        return CliRunner().invoke(cli.app, arguments)

    return call


def test_a_job_runs_on_the_revision_that_the_look_found(tunekeeper, tmp_path: Path) -> None:
    ended = tunekeeper("run", "job.yaml", "--json", "--output-status", "status.yaml")
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    (base,) = told["baseModels"]
    assert (base["name"], base["status"]["latest"]["revision"]) == ("smol", "rev-1")
    assert told["jobs"][0]["exitCode"] == 0
    assert "resolve done in" in ended.stderr
    kinds = [d["kind"] for d in yaml.safe_load_all((tmp_path / "status.yaml").read_text())]
    assert kinds == ["BaseModel", "FineTuneJob"]


def test_a_file_with_base_models_alone_looks_at_them(tunekeeper) -> None:
    ended = tunekeeper("run", "job.yaml", text=ONLY_BASE)
    assert ended.exit_code == 0
    row = next(line for line in ended.stdout.splitlines() if "default/smol" in line)
    assert row.split() == ["default/smol", "rev-1", "sha256:aaaaaaaaaaaa"]


def test_what_is_found_is_written_back(tunekeeper) -> None:
    ended = tunekeeper("run", "job.yaml", text=WRITING)
    assert ended.exit_code == 0
    assert "commit-of-rev-1" in ended.stdout
    assert "write-back done in" in ended.stderr


def test_a_check_writes_nothing_back(tunekeeper) -> None:
    ended = tunekeeper("check", "job.yaml", text=job_text(base="{name: smol}") + "---\n" + WRITING)
    assert ended.exit_code == 0
    assert "resolve done" in ended.stderr
    assert "write-back" not in ended.stderr


def test_a_base_model_that_no_job_names_is_left_alone(tunekeeper) -> None:
    ended = tunekeeper("run", "job.yaml", text=job_text() + BASE, plan=NOT_FOUND)
    assert ended.exit_code == 0
    assert "resolve" not in ended.stderr


def test_a_failed_look_ends_the_command_with_its_message(tunekeeper) -> None:
    ended = tunekeeper("run", "job.yaml", plan=NOT_FOUND)
    assert ended.exit_code == 2
    assert "error: BaseModel smol: no such branch; correct the spec" in ended.stderr
    assert "prepare" not in ended.stderr
    assert ended.stdout == ""


def test_an_outage_is_tried_again_and_may_pass(tunekeeper) -> None:
    assert tunekeeper("run", "job.yaml", plan={"resolve": [DOWN, {"do": "ok"}]}).exit_code == 0


def test_an_outage_that_lasts_is_no_mistake_of_the_user_and_names_the_log(tunekeeper) -> None:
    ended = tunekeeper("run", "job.yaml", plan={"resolve": [DOWN]})
    assert ended.exit_code == 1
    assert "-resolve-3.log" in ended.stderr.replace("\n", "")


def test_nobody_waits_for_a_distant_rate_limit(tunekeeper) -> None:
    limited = DOWN | {"cause": "RateLimited", "retryAfterSeconds": 3000}
    ended = tunekeeper("run", "job.yaml", plan={"resolve": [limited]})
    assert ended.exit_code == 1
    assert ended.stderr.count("resolve: Unavailable") == 1


def test_a_write_back_that_fails_ends_it_before_anything_is_trained(tunekeeper) -> None:
    denied = {
        "do": "fail",
        "failure": "NotFound",
        "cause": "MarkerNotFound",
        "message": "no marker",
    }
    text = job_text(base="{name: smol}") + "---\n" + WRITING
    ended = tunekeeper("run", "job.yaml", text=text, plan={"write-back": [denied]})
    assert ended.exit_code == 2
    assert "BaseModel smol: no marker; put the marker" in ended.stderr
    assert "prepare" not in ended.stderr


def test_a_suspended_base_model_is_said_to_be_so(tunekeeper) -> None:
    text = JOB_AND_BASE.replace("spec: {source", "spec: {suspend: true, source")
    ended = tunekeeper("run", "job.yaml", text=text)
    assert ended.exit_code == 2
    assert "spec.suspend is true" in ended.stderr


def test_ctrl_c_ends_the_look(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(JOB_AND_BASE)
    started = [sys.executable, "-c", "from controller.cli import main; main()", "run", "job.yaml"]
    ready = tmp_path / "ready"
    env = environment(tmp_path, {"resolve": [{"do": "wait"}]}, FAKE_READY=str(ready))
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        started, env=env, cwd=tmp_path, text=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as command:
        wait_until(ready.exists, "the look is under way")
        command.send_signal(signal.SIGINT)
        _, err = command.communicate(timeout=60)
    assert command.returncode == 130
    assert "the same command looks again" in err
