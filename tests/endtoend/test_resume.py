"""A training that is killed at exact places ends as if nobody had; a sample of the soak."""

from pathlib import Path

import pytest
from soak.broken import Broken
from soak.places import short_course
from soak.sitting import sit
from soak.table import markdown


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> Broken:
    """While it stored a checkpoint, at the end of an epoch, and while it published."""
    folder = Path(tmp_path_factory.mktemp("soak"))
    runs = sit(folder, seed=1, kills=1, stores=["file"], say=print, course=short_course)
    assert "file: 1 of 1 broken trainings equal" in markdown(runs, seed=1, took_s=1)
    return runs["file"][0]


def test_killed_and_resumed_is_unbroken_bit_for_bit(killed: Broken) -> None:
    assert killed.problems == []


def test_each_kill_fell_where_it_was_meant_to(killed: Broken) -> None:
    assert [(kill.kind, kill.has_landed) for kill in killed.kills] == [
        ("checkpoint upload", True),
        ("epoch boundary", True),
        ("publication", True),
    ]


def test_an_attempt_that_another_one_passed_publishes_nothing(killed: Broken) -> None:
    late, newest = 3, killed.post.manifest()["epoch"]
    assert killed.paused is not None
    assert killed.paused.exitcode == 26
    assert (killed.post.folder / f"e{late}" / "adapter").exists()
    assert newest == late + 1
