"""What prepare found and decided: the data report, the resolved plan, the estimate."""

from collections.abc import Iterator

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from controller.api.status import FineTuneJobStatus
from controller.local.view import figures
from trainer.contract.outcome import DataReport, Estimate, ResolvedValue


def show_plan(console: Console, status: FineTuneJobStatus) -> None:
    """Print all of it, as far as prepare got."""
    for part in plan_parts(status):
        console.print(part)


def plan_parts(status: FineTuneJobStatus) -> Iterator[RenderableType]:
    """The parts in reading order."""
    if status.data is not None:
        yield Text("Data", style="bold")
        yield data_table(status.data)
        yield from (Text(f"Warning: {text}", style="yellow") for text in status.data.warnings)
        yield from data_errors(status.data)
    if status.resolved:
        yield Text("Plan", style="bold")
        yield resolved_table(status.resolved)
    if status.estimate is not None:
        yield Text("Estimate", style="bold")
        yield _grid(estimate_facts(status.estimate))


def data_table(data: DataReport) -> Table:
    """The counts that are not zero."""
    return _grid(data_facts(data))


def data_facts(data: DataReport) -> Iterator[tuple[str, str]]:
    """Name and figure of everything that was counted."""
    split = (
        f"{figures.number(data.train_rows)} train, {figures.number(data.validation_rows)} "
        f"validation, {figures.number(data.test_rows)} test ({data.test_groups} groups)"
    )
    yield "rows", f"{figures.number(data.rows)} ({data.format}): {split}"
    if data.tokens:
        supervised = figures.number(data.supervised_tokens)
        yield "tokens", f"{figures.number(data.tokens)} to train on, {supervised} with loss"
    if data.labels:
        largest = f"the most frequent is {data.largest_label_percent:.0f} % of the rows"
        yield "answers", f"a closed set of {data.labels}; {largest}"
    counts = (
        ("cut", data.truncated_rows, "rows longer than maxSequenceTokens"),
        ("invalid", data.invalid_rows, "rows"),
        ("repeated", data.duplicate_rows, "rows"),
        ("near duplicates", data.near_duplicate_rows, "rows"),
        ("contradictions", data.contradictory_rows, "rows: one prompt, several answers"),
        ("overlap", data.overlap_rows, "rows removed from train: also in validation or test"),
    )
    yield from ((name, f"{figures.number(n)} {text}") for name, n, text in counts if n)
    if data.report_uri:
        yield "report", data.report_uri


def data_errors(data: DataReport) -> Iterator[RenderableType]:
    """The first errors, and how many more there are; one alone is told by the failure."""
    if data.error_count < 2:  # noqa: PLR2004 - several
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("place", "field", "what is wrong and what to do"):
        table.add_column(name, overflow="fold")
    for error in data.errors:
        table.add_row(Text(error.place), Text(error.field), Text(error.message))
    yield table
    more = data.error_count - len(data.errors)
    if more > 0:
        place = f" in {data.report_uri}" if data.report_uri else ""
        yield Text(f"and {figures.number(more)} more{place}")


def resolved_table(resolved: list[ResolvedValue]) -> Table:
    """Every Auto with the rule that resolved it."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("field", no_wrap=True)
    table.add_column("value", justify="right")
    table.add_column("rule")
    for value in resolved:
        table.add_row(Text(value.field), Text(value.value), Text(value.rule, style="dim"))
    return table


def estimate_facts(estimate: Estimate) -> Iterator[tuple[str, str]]:
    """What the run will need."""
    yield "training", f"{figures.number(estimate.train_tokens)} tokens, {estimate.steps} steps"
    yield "answers", f"{figures.number(estimate.answer_count)} to generate, over all arms"
    yield "memory", f"about {figures.size(estimate.peak_memory_bytes)} at the peak"


def _grid(facts: Iterator[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in facts:
        table.add_row(f"  {name}", Text(text))
    return table
