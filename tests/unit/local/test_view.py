"""What is told of stages while they work."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console

from controller.core.children import Child, ChildState
from controller.local.view import figures
from controller.local.view.live import Bars, Lines
from controller.local.view.notices import Follower, Happening
from trainer.contract.progress import ActivityProgress, Progress
from trainer.contract.request import Stage

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ONE = ActivityProgress(name="reading [red]", done=9, total=10, unit="rows", seconds=3)
TWO = ActivityProgress(name="rendering", done=1, total=10, unit="rows", seconds=1)


def a_child(*activities: ActivityProgress, percent: float = 40) -> Child:
    told = Progress(
        uid="u",
        run=1,
        stage=Stage.TRAIN,
        attempt=1,
        percent=percent,
        eta_seconds=90,
        activities=list(activities),
    )
    return Child(
        name="c",
        run=1,
        stage=Stage.TRAIN,
        attempt=1,
        spec_hash="h",
        state=ChildState.RUNNING,
        started=NOW,
        progress=told,
    )


def test_nothing_is_told_twice_or_left_out() -> None:
    follower = Follower("u")
    seen = [a_child(ONE), a_child(ONE), a_child(ONE, TWO)]
    told = [n.happening for child in seen for n in follower.notices([child], NOW)]
    assert told == [
        Happening.STAGE_STARTED,
        Happening.ACTIVITY_STARTED,
        Happening.ACTIVITY_ENDED,
        Happening.ACTIVITY_STARTED,
    ]


def test_an_end_that_was_missed_by_the_polls_is_told_with_the_stage() -> None:
    follower = Follower("u")
    list(follower.notices([a_child(ONE)], NOW))
    over = replace(a_child(ONE), state=ChildState.FINISHED, finished=NOW, exit_code=1)
    told = [notice.happening for notice in follower.notices([over], NOW)]
    assert told == [Happening.ACTIVITY_ENDED, Happening.STAGE_FAILED]


def test_lines_come_at_most_every_fifteen_seconds() -> None:
    printed = StringIO()
    view = Lines(Console(file=printed, width=100), "u")
    for second in range(31):
        view.show([a_child(ONE)], NOW + timedelta(seconds=second))
    assert printed.getvalue().count("9/10 rows") == 2
    assert "[red]" in printed.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_bars_show_stage_and_activity_with_the_time_left(width: int) -> None:
    printed = StringIO()
    console = Console(file=printed, width=width, force_terminal=True, color_system=None)
    view = Bars(console, "u")
    view.show([a_child(ONE, TWO)], NOW)
    view.close()
    text = printed.getvalue()
    assert "train" in text
    assert "1 min 30 s left" in text
    assert "9 s left" in text
    assert "reading [red]: 9/10 rows in 3 s" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 00 s"), (61, "1 min 01 s"), (3700, "1 h 01 min")],
)
def test_a_duration_has_two_units(seconds: float, text: str) -> None:
    assert figures.duration(seconds) == text
