"""The side-by-side comparison and the verdict of one judgement."""

from collections.abc import Iterator

from rich import box
from rich.console import Console, RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from controller.local.view import figures
from controller.local.view.report import ShownReport
from trainer.contract.verdict import ArmScore, Comparison, Judgement, Verdict

TUNED = "Tuned"
GATES = "A gate passes when the whole interval of the difference is above the figure in brackets."
COLOURS = {
    Verdict.PROMOTE: "bold green",
    Verdict.REJECT: "bold red",
    Verdict.NOT_NEEDED: "bold yellow",
    Verdict.INCONCLUSIVE: "bold yellow",
}


def show_report(console: Console, report: ShownReport) -> None:
    """Print everything of one judgement, most important first."""
    console.print()
    for part in report_parts(report):
        console.print(part)
    for line in copyable_lines(report):
        console.print(line, soft_wrap=True)  # whole, whatever the width: it is to be copied


def report_parts(report: ShownReport) -> Iterator[RenderableType]:
    """The parts in reading order."""
    judged = report.judgement
    if report.first_line and report.first_line != judged.reason:
        yield Text(report.first_line, style="bold")
        yield Text()
    yield comparison_table(judged)
    yield Text()
    yield verdict_line(judged, promoted=report.promoted)
    yield from (Text(f"Note: {note}", style="yellow") for note in judged.notes)
    yield Text()
    yield facts_table(report)


def verdict_line(judged: Judgement, *, promoted: bool) -> Text:
    """The verdict, what became of the adapter, and why."""
    line = Text()
    line.append(judged.verdict.value, style=COLOURS[judged.verdict])
    if judged.partial:
        line.append(" (partial training)")
    if judged.verdict is Verdict.PROMOTE and not promoted:
        line.append(" (not promoted yet)")
    line.append(f": {judged.reason}")
    return line


def comparison_table(judged: Judgement) -> Table:
    """One line per arm: its score, and the tuned model against it."""
    confidence = f"{judged.confidence_percent:.4g} %"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", padding=(0, 1, 0, 0))
    table.caption = GATES
    table.caption_justify = "left"
    table.title = f"{judged.metric} on the test split, in percent, {confidence} intervals"
    table.title_style = "italic"
    table.add_column("arm", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("interval", no_wrap=True)
    table.add_column("tuned is", justify="right", no_wrap=True)
    table.add_column("interval", no_wrap=True)
    table.add_column("gate")
    compared = {comparison.arm: comparison for comparison in judged.comparisons}
    for arm in judged.arms:
        table.add_row(*arm_cells(arm, compared.get(arm.name)), style=_style(arm))
    return table


def arm_cells(arm: ArmScore, against: Comparison | None) -> tuple[RenderableType, ...]:
    """One line of the comparison."""
    shown = (Text(arm.name), figures.score(arm.score), figures.interval(arm.ci_low, arm.ci_high))
    if against is None:
        return (*shown, "", "", "")
    return (
        *shown,
        figures.signed(against.delta),
        figures.signed_interval(against.ci_low, against.ci_high),
        gate_cell(against),
    )


def gate_cell(against: Comparison) -> Text:
    """Whether tuning passed the arm, in words and colour."""
    limit = f"(> {figures.signed(against.threshold)})"
    if against.passed:
        return Text(f"pass {limit}", style="green")
    return Text(f"fail {limit}", style="red")


def _style(arm: ArmScore) -> str:
    return "bold" if arm.name == TUNED else ""


def facts_table(report: ShownReport) -> Table:
    """Forgetting, overfitting, speed, cost, places."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in facts(report):
        table.add_row(name, Text(text))
    return table


def facts(report: ShownReport) -> Iterator[tuple[str, str]]:
    """Every figure that there is, as name and sentence."""
    judged = report.judgement
    if judged.minimum_detectable_effect is not None:
        effect = figures.score(judged.minimum_detectable_effect)
        yield "test", f"could see a gain of {effect} points; look {judged.look} at this test split"
    if judged.forgetting is not None:
        yield "forgetting", forgetting_fact(judged)
    if judged.overfitting is not None:
        yield "overfitting", overfitting_fact(judged)
    for guard in judged.guards:
        yield "guard", f"{guard.name} {'passed' if guard.passed else 'FAILED'}: {guard.message}"
    if report.cost.tokens_per_second:
        yield "speed", f"{figures.number(report.cost.tokens_per_second)} tokens/s in training"
    yield "cost", cost_fact(report)


def forgetting_fact(judged: Judgement) -> str:
    """How much general ability went."""
    lost = judged.forgetting
    if lost is None:
        return ""
    word = "passed" if lost.passed else "FAILED"
    return (
        f"{word}: general text costs {lost.increase:+.3f} nats per token"
        f" ({lost.ci_low:+.3f} to {lost.ci_high:+.3f}, allowed {lost.max_increase:.2f})"
    )


def overfitting_fact(judged: Judgement) -> str:
    """How far training went past its best."""
    over = judged.overfitting
    if over is None or over.best_validation_loss is None:
        return "no validation loss was measured"
    text = f"best validation loss {over.best_validation_loss:.3f} at step {over.best_step}"
    text += f" of {over.steps}"
    if over.last_validation_loss is not None:
        text += f", last {over.last_validation_loss:.3f}"
    if over.train_loss is not None:
        text += f", training loss {over.train_loss:.3f}"
    return f"{text}, stopped early" if over.stopped_early else text


def cost_fact(report: ShownReport) -> str:
    """Time, GPU time and money."""
    cost = report.cost
    parts = [f"{figures.duration(cost.wall_seconds)} of wall time"]
    parts.append(f"{figures.duration(cost.gpu_seconds)} of GPU time" if cost.gpu_seconds else "")
    parts.append(f"{cost.amount} {cost.currency}" if cost.amount else "")
    peak = report.peak_memory_bytes
    parts.append(f"peak memory {figures.size(peak)}" if peak else "")
    return ", ".join(part for part in parts if part)


def copyable_lines(report: ShownReport) -> Iterator[Text]:
    """The places of the results, and the Python that uses the adapter."""
    places = (
        ("adapter", report.adapter_uri),
        ("merged model", report.merged_uri),
        ("report", report.judgement.report_uri),
    )
    for name, uri in places:
        if uri:
            yield Text(f"{name}: ", style="dim").append(figures.local_path(uri), style="not dim")
    if report.usage.strip():
        yield Text("\nUse it:", style="bold")
        code = Syntax("", "python", background_color="default").highlight(report.usage.strip())
        code.rstrip()
        yield code
