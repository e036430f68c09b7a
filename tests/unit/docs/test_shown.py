"""What the pages show of finished runs is what today's code prints of runs that were made."""

import io
import json
from pathlib import Path

import pytest
from builders.docpages import blocks, is_shown
from rich.console import Console

from controller.api.documents import parse
from controller.errors import SpecError
from controller.local.view.report import ShownReport
from controller.local.view.verdict import show_report

RECORDED = Path(__file__).parent / "recorded"
"""``tunekeeper report --json`` of both quickstarts, without losses, answers and versions."""


def printed(name: str) -> str:
    """The report in a terminal of 80 columns."""
    document = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    out = io.StringIO()
    show_report(Console(file=out, width=80), ShownReport.model_validate(document))
    return out.getvalue()


FIRST_LINES = {
    "Tuning helps.": "quickstart",
    "The answer of the most similar training row": "quickstart-not-needed",
}
SHOWN = [
    pytest.param(block, name, id=block.id)
    for block in blocks("text")
    for beginning, name in FIRST_LINES.items()
    if block.text.startswith(beginning)
]


@pytest.mark.parametrize(("block", "name"), SHOWN)
def test_a_report_on_a_page_is_that_of_the_run_that_was_recorded(block, name):
    assert is_shown(block.text, printed(name)) == []


def test_both_are_shown():
    assert {parameter.values[1] for parameter in SHOWN} == set(FIRST_LINES.values())


# Line by line what the first page complains of.
MISTAKEN = """\
apiVersion: tunekeeper.dev/v1alpha1
kind: FineTuneJob
metadata: {name: intents}
spec:
  baseModel: {directory: {path: /models/tiny}}
  dataset:
    trian: {uri: "file:///data/train.jsonl"}
  training:
    learningRate: 5e-4
    checkpointPeriodSeconds: 5m
  output: {uri: "file:///out/intents"}
"""


def test_the_mistakes_on_the_first_page_are_told_in_these_words():
    [shown] = [b.text for b in blocks("text") if b.text.startswith("$ tunekeeper run job.yaml\n")]
    with pytest.raises(SpecError) as raised:
        parse(MISTAKEN, file="job.yaml", base="/home")
    told = "\n".join(f"error: {problem}" for problem in raised.value.problems)
    assert is_shown(shown, told) == []
    assert len(shown.splitlines()) == 1 + len(raised.value.problems)
