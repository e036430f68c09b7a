"""``python -m trainer history|diff|verify``: documents on standard output, reasons beside it."""

import json

import pytest
from builders.outputs import AnOutput

from trainer.__main__ import main
from trainer.contract.lineage import Diff, History, Verification, VerifyProgress


@pytest.fixture
def output(tmp_path) -> AnOutput:
    return AnOutput(tmp_path / "my place")


def said(capsys) -> dict:
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    "spelt", [lambda each: each.uri, lambda each: str(each.root / "output")], ids=["URI", "path"]
)
def test_history_takes_a_uri_or_a_path(output, capsys, spelt):
    run_id = output.run()
    assert main(["history", spelt(output)]) == 0
    [run] = History.model_validate(said(capsys)).runs
    assert run.id == run_id


def test_diff_takes_ids_with_an_output_or_places_of_runs(output, capsys):
    a, b = output.run(), output.run(base="base two")
    for arguments in (
        ["--output", output.uri, a[:6], b],
        [f"{output.uri}/runs/{a}", f"{output.uri}/runs/{b}/"],
        ["--output", f"{output.uri}/runs/{a}", a, f"{output.uri}/runs/{b}"],
    ):
        assert main(["diff", *arguments]) == 0
        found = Diff.model_validate(said(capsys))
        assert (found.a.run.id, found.b.run.id) == (a, b)


@pytest.mark.parametrize("of", ["output", "run"])
def test_verify_ends_with_0_or_2_and_the_document_says_why(output, capsys, of):
    run_id = output.run()
    place = output.uri if of == "output" else f"{output.uri}/runs/{run_id}"
    assert main(["verify", "--progress", place]) == 0
    streams = capsys.readouterr()
    assert Verification.model_validate_json(streams.out).ok
    last = VerifyProgress.model_validate_json(streams.err.splitlines()[-1])
    assert last.done == last.total
    output.store.write(f"runs/{run_id}/e1/metrics.jsonl", b"damaged")
    assert main(["verify", place]) == 2
    assert not Verification.model_validate(said(capsys)).ok


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        pytest.param(["history", "{}/nowhere"], 15, "is no output of a job", id="no such place"),
        pytest.param(["verify", "file://{}/nowhere"], 15, "is no output", id="no such URI"),
        pytest.param(["verify", "{}/output/runs/ffff"], 15, "has no such run", id="no such run"),
        pytest.param(["diff", "ffff", "0000"], 10, "by --output", id="ids without a place"),
        pytest.param(["diff", "{}/output", "0000"], 10, "is no run", id="an output for a run"),
        pytest.param(["history", "s3://b/../p"], 10, "write it without", id="no place in S3"),
        pytest.param(
            ["history", "--html", "{}/no/page.html", "{}/output"],
            10,
            "choose a file",
            id="no folder",
        ),
    ],
)
def test_what_is_wrong_is_said_with_the_remedy_and_a_code(output, capsys, arguments, code, words):
    output.run()
    assert main([text.format(output.root) for text in arguments]) == code
    streams = capsys.readouterr()
    assert words in streams.err
    assert streams.out == ""
