"""Live progress: bars where there is a terminal, lines where there is none."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from controller.local.view import figures
from controller.local.view.notices import (
    Follower,
    Happening,
    Notice,
    Shown,
    counted,
    current_activity,
    eta_s,
)

LINE_PERIOD = timedelta(seconds=15)

STYLES = {
    Happening.STAGE_STARTED: ("", "bold"),
    Happening.ACTIVITY_STARTED: ("  ", ""),
    Happening.ACTIVITY_ENDED: ("  ", "dim"),
    Happening.STAGE_ENDED: ("", "green"),
    Happening.STAGE_FAILED: ("", "red"),
}


class View(Protocol):
    """Something that shows the children of one job while they work."""

    poll_s: float

    def show(self, children: Sequence[Shown], now: datetime) -> None:
        """Show what is new."""

    def say(self, text: str) -> None:
        """One line of ours."""

    def close(self) -> None:
        """Give the terminal back."""


def open_view(console: Console, uid: str) -> View:
    """Bars on a terminal, else lines."""
    return Bars(console, uid) if console.is_terminal else Lines(console, uid)


class Lines:
    """A line when something starts or ends, and at most every 15 s in between."""

    poll_s = 1.0

    def __init__(self, console: Console, uid: str) -> None:
        self._console = console
        self._follower = Follower(uid)
        self._told: datetime | None = None

    def show(self, children: Sequence[Shown], now: datetime) -> None:
        """Print what is new."""
        for notice in self._follower.notices(children, now):
            self._told = now
            print_notice(self._console, notice)
        alive = next((child for child in children if child.is_unfinished), None)
        if alive is not None and (self._told is None or now - self._told >= LINE_PERIOD):
            self._told = now
            self._console.print(Text(f"  {progress_line(alive)}"), soft_wrap=True)

    def say(self, text: str) -> None:
        """Print it."""
        self._console.print(Text(text), soft_wrap=True)

    def close(self) -> None:
        """Nothing to give back."""


class Bars:
    """Two bars at the bottom, the stage and its activity; what is over scrolls up as lines."""

    poll_s = 0.5

    def __init__(self, console: Console, uid: str) -> None:
        self._follower = Follower(uid)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[count]}", justify="right"),
            TextColumn("{task.fields[eta]}", justify="right", style="cyan"),
            console=console,
            transient=True,
            expand=True,
        )
        self._stage: TaskID = self._bars.add_task("", total=100, count="", eta="", visible=False)
        self._activity: TaskID = self._bars.add_task(
            "", total=None, count="", eta="", visible=False
        )
        self._bars.start()

    def show(self, children: Sequence[Shown], now: datetime) -> None:
        """Lines for what is over, bars for what is under way."""
        for notice in self._follower.notices(children, now):
            if notice.happening is not Happening.ACTIVITY_STARTED:
                print_notice(self._bars.console, notice)
        alive = next((child for child in children if child.is_unfinished), None)
        self._show_stage(alive)
        self._show_activity(alive)

    def say(self, text: str) -> None:
        """Print it above the bars."""
        self._bars.console.print(Text(text))

    def close(self) -> None:
        """Take the bars away; the lines stay."""
        self._bars.stop()

    def _show_stage(self, child: Shown | None) -> None:
        if child is None:
            self._bars.update(self._stage, visible=False)
            return
        progress = child.progress
        percent = progress.percent if progress else 0.0
        self._bars.update(
            self._stage,
            visible=True,
            description=f"[bold]{escape(child.title)}",
            completed=percent,
            count=f"{percent:.0f} %",
            eta=eta_text(progress.eta_seconds if progress else None),
        )

    def _show_activity(self, child: Shown | None) -> None:
        activity = current_activity(child) if child else None
        if activity is None:
            self._bars.update(self._activity, visible=False)
            return
        self._bars.update(
            self._activity,
            visible=True,
            description=f"  {escape(activity.name)}",
            completed=activity.done,
            total=activity.total or None,
            count=escape(counted(activity)),
            eta=eta_text(eta_s(activity)),
        )


def print_notice(console: Console, notice: Notice) -> None:
    """One line in the style of what happened; the text is never read as markup."""
    indent, style = STYLES[notice.happening]
    console.print(Text(f"{indent}{notice.text}", style=style), soft_wrap=True)


def eta_text(seconds: float | None) -> str:
    """The remaining time, when it is known."""
    return "" if seconds is None else f"{figures.duration(seconds)} left"


def progress_line(child: Shown) -> str:
    """Where a stage stands, in one line."""
    progress, activity = child.progress, current_activity(child)
    parts = [child.title]
    if progress is not None:
        parts.append(f"{progress.percent:.0f} %")
        parts.append(eta_text(progress.eta_seconds))
    if activity is not None:
        parts.append(f"{activity.name} {counted(activity)}")
    if progress is not None and progress.train_loss is not None:
        parts.append(f"loss {progress.train_loss:.3f}")
    return ", ".join(part for part in parts if part)
