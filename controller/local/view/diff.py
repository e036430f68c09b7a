"""Two runs side by side in a terminal."""

import json
import re
from collections.abc import Iterator, Sequence

from pydantic import JsonValue
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from controller.local.view import figures
from controller.local.view.history import called
from controller.local.view.verdict import COLOURS, TUNED
from trainer.contract.lineage import (
    ArmPair,
    ChangedItem,
    Changes,
    Diff,
    DiffSide,
    FieldDifference,
    PairedDifference,
)
from trainer.contract.verdict import ArmScore

MAX_VALUE = 40
MAX_ANSWER = 24
NONE = "-"
DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{12})[0-9a-f]{52}")


def show_diff(console: Console, found: Diff) -> None:
    """Print all of it, scores first."""
    console.print()
    for part in diff_parts(found):
        console.print(part)


def diff_parts(found: Diff) -> Iterator[RenderableType]:
    """The parts in reading order."""
    yield side_line("a", found.a)
    yield side_line("b", found.b)
    yield arms_table(found.arms)
    if found.tuned is not None and found.changes is not None:
        yield paired_line(found.tuned, found.changes)
    if found.changes is not None and found.changes.shared:
        yield from changes_parts(found.changes)
    titled = (("Spec", found.spec), ("Data", found.data), ("Base model", found.base))
    for title, differences in titled:
        yield from differences_parts(title, differences)
    yield from (Text(f"Note: {note}", style="yellow") for note in found.notes)


def side_line(letter: str, side: DiffSide) -> Text:
    """Which run, when, and what was said of it."""
    run = side.run
    line = Text(f"{letter}: ", style="dim").append(called(run), style="not dim bold")
    if run.created:
        line.append(f", {run.created}", style="not dim")
    if run.verdict is not None:
        line.append(", ").append(run.verdict.value, style=COLOURS[run.verdict])
    return line.append(", in use", style="not dim bold") if run.promoted else line


def arms_table(arms: Sequence[ArmPair]) -> Table:
    """Every arm of either run with its interval."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("arm", no_wrap=True)
    for letter in ("a", "b"):
        table.add_column(letter, justify="right", no_wrap=True)
        table.add_column("interval", no_wrap=True)
    for arm in arms:
        style = "bold" if arm.name == TUNED else ""
        table.add_row(Text(arm.name), *_cells(arm.a), *_cells(arm.b), style=style)
    return table


def _cells(arm: ArmScore | None) -> tuple[str, str]:
    if arm is None:
        return NONE, ""
    return figures.score(arm.score), figures.interval(arm.ci_low, arm.ci_high)


def paired_line(tuned: PairedDifference, changes: Changes) -> Text:
    """The difference of the tuned models on what both were asked."""
    mcnemar = f", McNemar p = {tuned.p_value:.2g}" if tuned.p_value is not None else ""
    return Text(
        f"Tuned b minus tuned a: {figures.signed(tuned.delta)} points, "
        f"{tuned.confidence_percent:.4g} % interval "
        f"{figures.signed_interval(tuned.ci_low, tuned.ci_high)}, on {changes.shared} shared test "
        f"items ({tuned.method}{mcnemar})",
        style="bold",
    )


def changes_parts(changes: Changes) -> Iterator[RenderableType]:
    """How many answers changed, and the first of them."""
    counted = f"Answers: {changes.wrong_to_right} went right, {changes.right_to_wrong} went wrong"
    graded = (changes.better, changes.worse) != (changes.wrong_to_right, changes.right_to_wrong)
    scored = f"; {changes.better} scored higher, {changes.worse} lower" if graded else ""
    yield Text(f"{counted}{scored}")
    if changes.only_a or changes.only_b:
        yield Text(f"Not compared: {changes.only_a} items that a alone has, {changes.only_b} of b")
    for title, items in (("went wrong", changes.lost), ("went right", changes.gained)):
        if items:
            yield items_table(title, items)


def items_table(title: str, items: Sequence[ChangedItem]) -> Table:
    """Ids and the beginnings of answers; whole texts are in the document for programs."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in (f"{title}: item", "reference", "a", "b"):
        table.add_column(name, overflow="fold")
    for item in items:
        texts = (item.reference, item.answer_a, item.answer_b)
        table.add_row(Text(_cut(item.id, MAX_VALUE)), *(Text(_cut(text)) for text in texts))
    return table


def differences_parts(title: str, differences: Sequence[FieldDifference]) -> Iterator[Table | Text]:
    """A table of what differs."""
    if not differences:
        yield Text(f"{title}: no difference")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in (title, "a", "b"):
        table.add_column(name, overflow="fold")
    for each in differences:
        table.add_row(Text(each.field), Text(_value(each.a)), Text(_value(each.b)))
    yield table


def _value(value: JsonValue) -> str:
    if value is None:
        return NONE
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    digest = DIGEST.fullmatch(text)
    return digest[1] if digest else _cut(text, MAX_VALUE)


def _cut(text: str, limit: int = MAX_ANSWER) -> str:
    """One line of it, without what could move the cursor."""
    plain = "".join(char if char.isprintable() else " " for char in text)
    return plain if len(plain) <= limit else f"{plain[: limit - 1]}…"
