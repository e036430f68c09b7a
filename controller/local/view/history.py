"""The history of an output in a terminal: a table of figures, then the reasons in words."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from controller.local.view import figures
from controller.local.view.verdict import COLOURS, TUNED
from trainer.contract.lineage import Cause, History, HistoryRun
from trainer.contract.verdict import Comparison

MAX_RUNS = 50
"""Newest runs that a terminal shows; ``--json`` has them all."""
SHORT = 8
DAY = 10
WHY = {
    Cause.FIRST: "first",
    Cause.SPEC: "spec",
    Cause.DATA: "data",
    Cause.BASE: "base",
    Cause.RERUN: "rerun",
    Cause.UNKNOWN: "?",
}
BY = {"Policy": "by the policy", "Pin": "by a pin", "Unpin": "because the pin was removed"}
COLUMNS = (
    "run\nid",
    "when\nwhy",
    "base\ndata",
    "verdict\ncost",
    "tuned\ninterval",
    "over arms\ninterval",
    "over used\ninterval",
)
KEY = (
    "Scores in percent, gains in points: over the arm that was hardest to beat, and over the "
    "adapter in use then. * is in use now."
)


def show_history(console: Console, history: History) -> None:
    """Print all of it, what is in use last."""
    console.print()
    for part in history_parts(history):
        console.print(part)


def history_parts(history: History) -> Iterator[RenderableType]:
    """The parts in reading order."""
    whose = f"{history.namespace}/{history.name}" if history.name else history.uri
    yield Text(whose, style="bold")
    shown = history.runs[-MAX_RUNS:]
    if len(shown) < len(history.runs):
        yield Text(f"The newest {len(shown)} of {len(history.runs)} runs; --json has them all.")
    yield history_table(shown)
    yield from reasons(shown)
    yield from moves(history)
    problems = [*history.problems, *(each for run in shown for each in run.problems)]
    yield from (Text(f"Problem: {problem}", style="yellow") for problem in problems)


def history_table(runs: Sequence[HistoryRun]) -> Table:
    """Two lines per run."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.caption, table.caption_justify = KEY, "left"
    for name in COLUMNS:
        table.add_column(name, no_wrap=True)
    for run in runs:
        table.add_row(*_cells(run), style="bold" if run.promoted else "")
    return table


def _cells(run: HistoryRun) -> tuple[RenderableType, ...]:
    digest = run.base.content_digest if run.base else ""
    return (
        Text(f"{run.number or ''}{' *' if run.promoted else ''}\n{run.id[:SHORT]}".lstrip()),
        Text(f"{run.created[:DAY] or '-'}\n{'+'.join(WHY[cause] for cause in run.causes)}"),
        Text(f"{short(digest)}\n{short(run.dataset_digest)}"),
        _verdict(run),
        _score(run),
        _over(run.hardest),
        _over(run.against_promoted),
    )


def _verdict(run: HistoryRun) -> Text:
    if run.verdict is None:
        return Text(f"{run.state}\n", style="dim")
    below = ", ".join(filter(None, ("partial" if run.partial else "", _cost(run))))
    return Text(run.verdict.value, style=COLOURS[run.verdict]).append(f"\n{below}", "not bold")


def _cost(run: HistoryRun) -> str:
    cost = run.cost
    if cost is None:
        return ""
    if cost.amount:
        return f"{cost.amount} {cost.currency}"
    return figures.duration(cost.gpu_seconds) if cost.gpu_seconds else ""


def _score(run: HistoryRun) -> str:
    tuned = next((arm for arm in run.arms if arm.name == TUNED), None)
    if tuned is None:
        return ""
    return f"{figures.score(tuned.score)}\n{100 * tuned.ci_low:.0f} to {100 * tuned.ci_high:.0f}"


def _over(found: Comparison | None) -> str:
    if found is None:
        return ""
    low, high = 100 * found.ci_low, 100 * found.ci_high
    return f"{figures.signed(found.delta)}\n{low:+.0f} to {high:+.0f}"


def short(digest: str) -> str:
    """What tells two digests apart."""
    return digest.removeprefix("sha256:")[:SHORT]


def called(run: HistoryRun) -> str:
    """A run as the lines below the table name it."""
    return f"run {run.number} ({run.id[:SHORT]})" if run.number else f"run {run.id[:SHORT]}"


def reasons(runs: Sequence[HistoryRun]) -> Iterator[Text]:
    """Why each verdict was reached."""
    for run in runs:
        if run.verdict is not None:
            line = Text(f"{called(run)} ").append(run.verdict.value, style=COLOURS[run.verdict])
            yield line.append(f": {run.reason}")


def moves(history: History) -> Iterator[Text]:
    """What was in use when, and what is now."""
    yield Text()
    names = {run.id: called(run) for run in history.runs}
    for move in history.moves:
        when = f" {move.time}" if move.time else ""
        by = f" {BY[move.by]}" if move.by in BY else ""
        name = names.get(move.run_id, f"run {move.run_id[:SHORT]}, which is not here")
        yield Text(f"Promotion {move.sequence}{when}: {name}{by}")
    now = history.promoted_run_id
    name = names.get(now, f"run {now[:SHORT]}, which is not here")
    yield Text(f"In use: {name}" if now else "No adapter is in use.", style="bold")
