"""The last word of a stage is read as from a stranger."""

import json
from pathlib import Path

import pytest
from builders.requests import a_request

from controller.core.last_word import parse_last_word
from controller.local.last_word import read_last_word

WORD = {"stage": "prepare", "uid": "uid-1", "run": 1, "attempt": 1, "runId": "0123456789abcdef"}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"Segmentation fault\n", id="text"),
        pytest.param(b"\xff\xfe\x00", id="bytes"),
        pytest.param(b"[]\n{}", id="another shape"),
        pytest.param(json.dumps({**WORD, "sudo": 1}).encode(), id="an unknown key"),
        pytest.param(json.dumps({**WORD, "message": "x" * 2000}).encode(), id="too long"),
    ],
)
def test_what_is_no_outcome_is_none(data: bytes) -> None:
    assert parse_last_word(data) == (None, None)


def test_a_lost_second_line_leaves_the_first() -> None:
    outcome, details = parse_last_word(json.dumps(WORD).encode() + b'\n{"data": {"ro')
    assert outcome is not None
    assert details is None


def test_lost_details_are_read_from_the_output(tmp_path: Path) -> None:
    request = a_request(tmp_path)
    message, stored = tmp_path / "message", tmp_path / "output/runs/0123456789abcdef"
    stored.mkdir(parents=True)
    first = json.dumps(WORD)
    message.write_text(f"{first}\n")
    (stored / "prepare-outcome.json").write_text(f'{first}\n{{"data": {{"rows": 7}}}}\n')
    _, details = read_last_word(message, request)
    assert details is not None
    assert details.data is not None
    assert details.data.rows == 7


def test_the_stored_word_of_another_attempt_is_not_used(tmp_path: Path) -> None:
    stored = tmp_path / "output/runs/0123456789abcdef"
    stored.mkdir(parents=True)
    (tmp_path / "message").write_text(f"{json.dumps(WORD)}\n")
    other = json.dumps({**WORD, "attempt": 2})
    (stored / "prepare-outcome.json").write_text(f"{other}\n{{}}\n")
    assert read_last_word(tmp_path / "message", a_request(tmp_path))[1] is None
