"""A verification in a terminal: a bar while it reads, then what is wrong."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from controller.local.view import figures
from trainer.contract.lineage import Fault, Verification, VerifyProgress

MAX_FINDINGS = 200
"""Shown in a terminal; ``--json`` has them all."""
STYLES = {
    Fault.MISMATCH: "bold red",
    Fault.MISSING: "bold red",
    Fault.UNREADABLE: "bold red",
    Fault.EXTRA: "bold yellow",
}


@contextmanager
def verify_bar(console: Console) -> Iterator[Callable[[VerifyProgress], None]]:
    """A bar of the bytes that are read; nothing where there is no terminal."""
    bar = Progress(
        TextColumn("verify"),
        BarColumn(bar_width=None),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        expand=True,
        disable=not console.is_terminal,
    )
    task = bar.add_task("", total=None)
    with bar:
        yield lambda told: bar.update(task, completed=told.done, total=told.total or None)


def show_verification(console: Console, found: Verification) -> None:
    """Print what is wrong, then how much was looked at."""
    for finding in found.findings[:MAX_FINDINGS]:
        line = Text(finding.fault.value, style=STYLES[finding.fault])
        line.append(f" {finding.place}: {finding.message}", style="not bold default")
        console.print(line, soft_wrap=True)
    left_out = len(found.findings) - MAX_FINDINGS
    if left_out > 0:
        console.print(Text(f"and {left_out} more; --json has them all"))
    for note in found.notes:
        console.print(Text(f"Note: {note}", style="yellow"), soft_wrap=True)
    console.print(_summary(found), soft_wrap=True)


def _summary(found: Verification) -> Text:
    runs, files = _counted(len(found.runs), "run"), _counted(found.files, "file")
    read = f"{files} of {runs}, {figures.size(found.bytes)}"
    if found.ok:
        return Text("OK", style="bold green").append(
            f": {read}, as vouched for", "not bold default"
        )
    faults = _counted(len(found.findings), "finding")
    return Text("Not OK", style="bold red").append(f": {faults} in {read}", "not bold default")


def _counted(count: int, noun: str) -> str:
    return f"{figures.number(count)} {noun}{'' if count == 1 else 's'}"
