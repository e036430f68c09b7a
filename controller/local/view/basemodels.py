"""What is shown of base models: a short table, or why one of them cannot be used."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from controller.local.ends import BaseEnd, Exit
from controller.local.view.ends import error_line

DIGEST_CHARACTERS = 19
"""``sha256:`` and as much as tells two of them apart."""


def show_base_models(console: Console, ends: Sequence[BaseEnd]) -> None:
    """One row each: its revision, its content, and the commit that it was written back in."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    for head in ("base model", "revision", "content", "written back"):
        table.add_column(head, overflow="fold")
    for end in ends:
        table.add_row(*(Text(cell) for cell in _cells(end)))
    console.print(table)


def show_look_failure(console: Console, end: BaseEnd) -> None:
    """What was wrong, where, and what to do next."""
    if end.code is Exit.INTERRUPTED:
        console.print(Text("interrupted; the same command looks again"))
        return
    console.print(error_line(end.message), soft_wrap=True)
    if end.code is Exit.OURS and end.log:
        console.print(Text(f"log: {end.log}"), soft_wrap=True)


def _cells(end: BaseEnd) -> tuple[str, str, str, str]:
    meta, status = end.base.metadata, end.base.status
    latest, written = status.latest, status.write_back
    return (
        f"{meta.namespace}/{meta.name}",
        latest.revision if latest else "",
        latest.content_digest[:DIGEST_CHARACTERS] if latest else "",
        (written.commit or "was there already") if written else "",
    )
