"""The pages of the project as text: their fenced blocks, their words in backticks."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (
        ROOT / "README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted(ROOT.glob("examples/*/README.md")),
    )
    if "decisions" not in path.parts
}
FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """What stands between two fences."""

    page: str
    line: int
    language: str
    info: str
    """The rest of the opening line."""
    text: str

    @property
    def id(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def options(self) -> dict[str, str]:
        """``name=value`` pairs of the opening line."""
        return dict(word.split("=", 1) for word in self.info.split())


def blocks(*languages: str) -> list[Block]:
    """Every block in one of the languages."""
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, *found.groups())
        for page, text in PAGES.items()
        for found in FENCE.finditer(text)
        if found[1] in languages
    ]


def code_spans(page: str) -> list[str]:
    """What stands in backticks, outside of blocks; in tables a bar is escaped."""
    prose = FENCE.sub("", PAGES[page])
    return [span.replace("\\|", "|") for span in re.findall(r"`([^`\n]+)`", prose)]


def command_lines(program: str) -> Iterator[tuple[str, list[str]]]:
    """Where a command is written, and its arguments: in blocks for a shell, or in backticks."""
    for block in blocks("sh", "console", "text"):
        for number, line in whole_lines(block):
            is_shell = block.language == "sh" or line.startswith("$ ")
            words = line.removeprefix("$ ").removeprefix(".venv/bin/")
            if is_shell and words.startswith(f"{program} "):
                yield f"{block.page}:{number}", shlex.split(words, comments=True)[1:]
    for page in PAGES:
        for span in code_spans(page):
            if span.removeprefix(".venv/bin/").startswith(f"{program} "):
                yield f"{page} `{span}`", shlex.split(span)[1:]


def whole_lines(block: Block) -> Iterator[tuple[int, str]]:
    """Number and text of each line, with what a backslash continues."""
    whole, start = "", 0
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        start = start if whole else number
        whole += line
        if not whole.endswith("\\"):
            yield start, whole
            whole = ""
        else:
            whole = whole[:-1]


def is_shown(block: str, output: str) -> list[str]:
    """The lines of a block that the output does not have, in their order.

    A line ``...`` stands for any number of lines, and ``...`` at an end for the rest of a line.
    """
    said = [line.rstrip() for line in output.splitlines()]
    missing, at = [], 0
    for line in (line.rstrip() for line in block.splitlines()):
        if line in ("...", "") or line.startswith("$ "):
            continue
        found = [n for n in range(at, len(said)) if is_line(line, said[n])]
        if found:
            at = found[0] + 1
        else:
            missing.append(line)
    return missing


def is_line(shown: str, said: str) -> bool:
    """Whether the line is that line, or its beginning where the rest was left out."""
    return said.startswith(shown[:-3]) if shown.endswith(" ...") else said == shown
