"""docs/data.md shows what the command says of bad data."""

import pytest
from builders.docpages import blocks, is_shown
from builders.whole_run import Desk

BAD = (
    b'{"prompt": "I lost my card, "completion": "lost_or_stolen_card"}',
    b'{"prompt": "I lost my card", "completion": ""}',
    b'{"completion": "lost_or_stolen_card"}',
    b'{"prompt": "caf\xe9", "completion": "drinks"}',
)


@pytest.fixture
def desk(desk: Desk) -> Desk:
    """Four bad rows before 160 good ones."""
    desk.data.write_bytes(b"\n".join([*BAD, desk.data.read_bytes()]))
    return desk


def test_the_refusal_on_the_page_is_the_commands(desk):
    [shown] = [block.text for block in blocks("console") if block.page == "docs/data.md"]
    assert shown.startswith("$ tunekeeper check job.yaml\n")
    ended = desk.tunekeeper("check", "job.yaml")
    assert is_shown(shown, f"{ended.stdout}\n{ended.stderr}") == []
    assert ended.returncode == 2
