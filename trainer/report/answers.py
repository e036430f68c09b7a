"""Answers side by side: pretty where they are JSON, cut where they are endless, marked."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.report.model import ChangedAnswer
from trainer.report.units import finite, percent

MAX_SHOWN = 3000  # characters; a page of ten prompts stays readable and printable
RIGHT, WRONG = 1.0, 0.0
BRACKETS = frozenset({"{", "}", "[", "]", "{}", "[]"})
# Control characters would vanish or move what stands around them; their pictures do neither.
PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"} | {127: 0x2421}


@dataclass(frozen=True)
class Piece:
    """A part of a text, and whether the reference lacks it."""

    text: str
    differs: bool = False


@dataclass(frozen=True)
class Shown:
    """One text, ready to be shown; no pieces: it is empty."""

    pieces: Sequence[Piece]
    is_json: bool
    cut: int  # characters left out at the end


@dataclass(frozen=True)
class Mark:
    """How an answer was scored."""

    kind: str  # CSS class: right, wrong, partly
    sign: str
    text: str


@dataclass(frozen=True)
class Pair:
    """The same question, answered before and after tuning."""

    id: str
    base_arm: str
    prompt: Shown
    reference: Shown
    base: Shown
    base_mark: Mark
    tuned: Shown
    tuned_mark: Mark


def pairs(changed: Sequence[ChangedAnswer]) -> list[Pair]:
    """Each changed answer as it is shown."""
    return [
        Pair(
            id=row.id,
            base_arm=row.base_arm,
            prompt=shown(row.prompt),
            reference=shown(row.reference),
            base=compared(row.base_answer, row.reference, row.base_score),
            base_mark=mark(row.base_score),
            tuned=compared(row.tuned_answer, row.reference, row.tuned_score),
            tuned_mark=mark(row.tuned_score),
        )
        for row in changed
    ]


def mark(score: float) -> Mark:
    """Right, wrong or how much of it."""
    if score >= RIGHT:
        return Mark("right", "✓", "right")
    if finite(score) and score > WRONG:
        return Mark("partly", "◐", f"scored {percent(score)}")
    return Mark("wrong", "✗", "wrong")


def shown(text: str) -> Shown:
    """A text that can be read, whatever it holds."""
    pretty = _pretty(text)
    whole = (text if pretty is None else pretty).translate(PICTURES)
    pieces = [Piece(whole[:MAX_SHOWN])] if whole else []
    return Shown(pieces, pretty is not None, max(0, len(whole) - MAX_SHOWN))


def compared(answer: str, reference: str, score: float) -> Shown:
    """An answer; where both are JSON and it is not right, lines that the reference lacks differ."""
    plain, wanted = shown(answer), shown(reference)
    if score >= RIGHT or not (plain.is_json and wanted.is_json) or plain.cut or wanted.cut:
        return plain
    known = BRACKETS | {_entry(line) for line in wanted.pieces[0].text.split("\n")}
    lines = plain.pieces[0].text.split("\n")
    return Shown([piece for line in lines for piece in _marked(line, known)], is_json=True, cut=0)


def _marked(line: str, known: Collection[str]) -> list[Piece]:
    entry = _entry(line)
    indent = line[: len(line) - len(line.lstrip())]
    comma = line[len(indent) + len(entry) :]
    return [Piece(indent), Piece(entry, entry not in known), Piece(comma + "\n")]


def _entry(line: str) -> str:
    """A line of indented JSON without what depends on its neighbours."""
    return line.strip().removesuffix(",")


def _pretty(text: str) -> str | None:
    """Indented JSON; None when it is no object or list, or would not say exactly the same."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_without_repeats,
            parse_float=_same_float,
            parse_int=_same_int,
        )
        pretty = json.dumps(value, indent=2, ensure_ascii=False)
        pretty.encode()  # "\ud800" is valid JSON and no valid text
    except (ValueError, RecursionError):
        return None
    return pretty


def _without_repeats(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(items)
    if len(found) != len(items):
        raise ValueError("a key twice")
    return found


def _same_float(digits: str) -> float:
    if repr(float(digits)) != digits:
        raise ValueError("a number that would read differently")
    return float(digits)


def _same_int(digits: str) -> int:
    if str(int(digits)) != digits:
        raise ValueError("a number that would read differently")
    return int(digits)
