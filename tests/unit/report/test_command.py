import json

import pytest
from builders.report import a_report

from trainer.report.command import print_report


@pytest.fixture
def evaluation(tmp_path):
    """A folder of one evaluation in an output whose path has a space in it."""
    folder = tmp_path / "my output" / "runs" / ("a" * 16) / "evaluations" / "e1"
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(a_report().model_dump_json(), encoding="utf-8")
    return folder


def output_of(evaluation):
    return evaluation.parents[3]


def test_a_program_gets_the_document(evaluation, capsys):
    assert print_report(["--json", str(output_of(evaluation))]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(a_report().model_dump_json())


def test_a_person_gets_the_first_line_and_the_verdict(evaluation, capsys):
    assert print_report([str(output_of(evaluation))]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Tuning helped:")
    assert "\nPromote: Tuned is better" in said


@pytest.mark.parametrize(
    "target",
    [
        pytest.param(lambda folder: output_of(folder).as_uri(), id="a URI"),
        pytest.param(str, id="the evaluation's folder"),
        pytest.param(lambda folder: str(folder / "report.json"), id="the report itself"),
    ],
)
def test_a_report_is_found_by(evaluation, capsys, target):
    assert print_report(["--json", target(evaluation)]) == 0
    assert json.loads(capsys.readouterr().out)["evaluationId"] == a_report().evaluation_id


def test_the_page_is_written_where_it_is_wanted(evaluation, tmp_path):
    page = tmp_path / "page.html"
    assert print_report(["--html", str(page), str(evaluation)]) == 0
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(["{}/nowhere"], 15, "has no report.json", id="no such folder"),
        pytest.param(["s3://bucket/../place"], 10, "write it without", id="no place in a bucket"),
        pytest.param(
            ["--html", "{}/no/page.html", "{}/my output"], 10, "choose a file", id="no such place"
        ),
    ],
)
@pytest.mark.usefixtures("evaluation")
def test_what_is_wrong_is_said_with_the_remedy_and_a_code(tmp_path, capsys, arguments, code, said):
    assert print_report([text.format(tmp_path) for text in arguments]) == code
    assert said in capsys.readouterr().err
