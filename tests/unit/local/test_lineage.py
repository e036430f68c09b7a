"""history, diff and verify: what the command prints where, and how it ends."""

import io
import json
import sys
from pathlib import Path

import pytest
from builders.job_files import job_text
from builders.outputs import AnOutput, better
from rich.console import Console
from typer.testing import CliRunner, Result

from controller import cli
from controller.local.answers import AnswerError, ask
from controller.local.view.history import history_table
from controller.local.view.verdict import verdict_line
from trainer.contract.lineage import History, HistoryRun, Verification
from trainer.contract.verdict import Judgement, Verdict


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> AnOutput:
    """Two runs that nobody may change; the second is in use."""
    output = AnOutput(tmp_path_factory.mktemp("kept"))
    output.run(better(20, 40))
    output.run(better(22, 58), base="base two", spec="spec two", lora={"rank": 32})
    return output


@pytest.fixture
def tunekeeper(monkeypatch):
    def call(*arguments: str, columns: int = 80) -> Result:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.delenv("TUNEKEEPER_TRAINER", raising=False)
        return CliRunner().invoke(cli.app, arguments)

    return call


@pytest.fixture
def job_file(kept, tmp_path) -> Path:
    text = job_text().replace("file:///out/intents", kept.uri)
    (tmp_path / "job.yaml").write_text(text)
    return tmp_path / "job.yaml"


def test_history_shows_every_run_and_what_is_in_use(tunekeeper, kept):
    ended = tunekeeper("history", kept.uri)
    assert (ended.exit_code, ended.stderr) == (0, "")
    first, second = kept.made
    for said in (
        first[:8],
        "spec+base",
        "Promote",
        "96.7",
        "+30.0",
        "run 2 " + f"({second[:8]}) Promote: Tuned answers 58 of 60",
        f"In use: run 2 ({second[:8]})",
    ):
        assert said in ended.stdout


@pytest.mark.parametrize("command", ["history", "diff", "verify"])
@pytest.mark.parametrize("columns", [80, 120])
def test_nothing_is_wider_than_the_terminal(tunekeeper, kept, command, columns):
    what = ["--output", kept.uri, *kept.made] if command == "diff" else [kept.uri]
    shown = tunekeeper(command, *what, columns=columns).stdout.splitlines()
    assert max(map(len, shown)) <= columns
    assert not [line for line in shown if "…" in line]


def test_a_job_file_stands_for_its_output(tunekeeper, kept, job_file):
    ended = tunekeeper("history", str(job_file), "--json")
    assert [run.id for run in History.model_validate_json(ended.stdout).runs] == kept.made
    assert tunekeeper("verify", str(job_file)).exit_code == 0
    assert tunekeeper("diff", *kept.made, "--output", str(job_file)).exit_code == 0
    assert tunekeeper("report", str(job_file)).exit_code == 0


def test_history_writes_a_page(tunekeeper, kept, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert tunekeeper("history", kept.uri, "--html", "page.html").exit_code == 0
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")


def test_diff_shows_scores_answers_and_what_differs(tunekeeper, kept):
    ended = tunekeeper("diff", *[run_id[:6] for run_id in kept.made], "--output", kept.uri)
    assert ended.exit_code == 0
    for said in (
        "Tuned b minus tuned a: +30.0 points, 95 % interval",
        "Answers: 18 went right, 0 went wrong",
        "test-40",
        "lora.rank  16  32",
        "contentDigest",
        "Data: no difference",
    ):
        assert said in ended.stdout


def test_verify_names_what_does_not_match_and_exits_with_2(tunekeeper, tmp_path):
    output = AnOutput(tmp_path / "mine")
    run_id = output.run()
    place = f"runs/{run_id}/e1/adapter/adapter_model.safetensors"
    output.store.write(place, b"other weights")
    ended = tunekeeper("verify", output.uri)
    assert ended.exit_code == 2
    assert f"Mismatch {place}: its sha256 is not the one in manifest.json" in ended.stdout
    assert "Not OK: 1 finding in" in ended.stdout
    as_json = tunekeeper("verify", output.uri, "--json")
    assert as_json.exit_code == 2
    assert not Verification.model_validate_json(as_json.stdout).ok


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["history", "{}/nothing"], "is no output of a job", id="no output"),
        pytest.param(["history", "{}/no.yaml"], "no.yaml: cannot be read", id="no job file"),
        pytest.param(["history", "{}/two.yaml"], "has 2 jobs (intents, other)", id="two jobs"),
        pytest.param(["diff", "abcd", "efgh"], "say where the run is", id="an id without a place"),
        pytest.param(["verify", "{}/output/runs/ffff"], "is no output", id="a run of no output"),
        pytest.param(["history", "ftp://example/x"], "ftp://example/x", id="another scheme"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(tunekeeper, tmp_path, arguments, said):
    (tmp_path / "two.yaml").write_text(f"{job_text()}---\n{job_text('other')}")
    ended = tunekeeper(*[text.format(tmp_path) for text in arguments])
    assert ended.exit_code == 2
    assert ended.stderr.startswith("error: ")
    assert said in ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.output


@pytest.mark.parametrize(
    ("program", "code", "said"),
    [
        pytest.param("print('no json')", 1, "not one that this release reads", id="garbage"),
        pytest.param("print('[1]')", 1, "not one that this release reads", id="a list"),
        pytest.param("", 1, "exit code 0", id="nothing"),
        pytest.param("import os; os.abort()", 1, "exit code -6", id="a crash"),
        pytest.param("import sys; sys.exit('place: wrong')", 1, "place: wrong", id="a reason"),
    ],
)
def test_a_trainer_that_gives_no_answer_is_our_error(program, code, said):

    with pytest.raises(AnswerError, match=said) as raised:
        ask([sys.executable, "-c", program], [], about="there")
    assert raised.value.code == code


def test_the_document_for_programs_has_standard_output_to_itself(tunekeeper, kept):
    ended = tunekeeper("diff", *kept.made, "--output", kept.uri, "--json")
    assert json.loads(ended.stdout)["changes"]["wrongToRight"] == 18


def test_a_partial_run_is_said_to_be_one_in_the_history_and_in_its_verdict():
    runs = [
        HistoryRun(id="a" * 16, state="Judged", verdict=Verdict.PROMOTE, partial=partial)
        for partial in (True, False)
    ]
    printed = io.StringIO()
    Console(file=printed, width=100).print(history_table(runs))
    assert printed.getvalue().count("partial") == 1
    judged = Judgement(metric="ExactMatch", verdict=Verdict.PROMOTE, reason="so", partial=True)
    assert str(verdict_line(judged, promoted=True)) == "Promote (partial training): so"
