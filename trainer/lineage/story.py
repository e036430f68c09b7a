"""A history in words: why there is a run, what was in use when. For the page; numbers are its."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import groupby

from trainer.contract.lineage import BaseRecord, Cause, History, HistoryRun
from trainer.contract.outcome import Move
from trainer.report.units import count

SHORT = 12
STATES = {
    "Begun": "Begun, left nothing",
    "Prepared": "Prepared, not trained",
    "Trained": "Trained, not finished",
    "Answered": "Trained, not judged",
    "Judged": "Judged",
    "Removed": "Removed by keepRuns",
}
BY = {
    "Policy": "by the promotion policy",
    "Pin": "by a pin",
    "Unpin": "because the pin was removed",
}


@dataclass(frozen=True)
class Chapter:
    """Consecutive runs on one base model."""

    base: BaseRecord | None
    runs: Sequence[HistoryRun]


def chapters(runs: Sequence[HistoryRun]) -> list[Chapter]:
    """The runs, divided where the base model is another."""
    divided = groupby(runs, key=lambda run: run.base.content_digest if run.base else "")
    return [Chapter(group[0].base, group) for _, each in divided if (group := list(each))]


def short(name: str) -> str:
    """A revision or digest as people compare them; a name that is no hexadecimal number whole."""
    plain = name.removeprefix("sha256:")
    is_hex = len(plain) > SHORT and all(char in "0123456789abcdef" for char in plain)
    return plain[:SHORT] if is_hex else plain


def called(run: HistoryRun) -> str:
    """A run as a sentence names it."""
    return f"run {run.number}" if run.number else f"run {run.id[:8]}"


def named_run(history: History, run_id: str) -> str:
    """The same by its id; one that is gone by its id alone."""
    found = next((run for run in history.runs if run.id == run_id), None)
    return called(found) if found else f"run {run_id[:8]}, which is not here"


def why(run: HistoryRun, before: HistoryRun | None) -> str:
    """What made the run, as a clause."""
    told = [_because(cause, run, before) for cause in run.causes]
    return " and ".join(told) or "why is not recorded"


def _because(cause: Cause, run: HistoryRun, before: HistoryRun | None) -> str:
    match cause:
        case Cause.FIRST:
            return "the first run"
        case Cause.SPEC:
            return "the spec changed"
        case Cause.DATA:
            return "the data changed"
        case Cause.RERUN:
            return "a rerun was asked for"
        case Cause.BASE:
            return _moved(run, before)
        case Cause.UNKNOWN:
            return "why is not recorded"


def _moved(run: HistoryRun, before: HistoryRun | None) -> str:
    old = before.base if before else None
    if old is None or run.base is None:
        return "the base model moved"
    return f"the base model moved from {short(old.revision)} to {short(run.base.revision)}"


def reasons(runs: Sequence[HistoryRun]) -> dict[str, str]:
    """The clause of each run, by its id."""
    return {run.id: why(run, runs[place - 1] if place else None) for place, run in enumerate(runs)}


def base_changes(old: BaseRecord | None, new: BaseRecord | None) -> list[str]:
    """What a reader must know of a base that is not only newer weights."""
    if old is None or new is None:
        return []
    told = (
        ("source", old.source, new.source),
        ("architecture", old.architecture, new.architecture),
        ("tokenizer", short(old.tokenizer_sha256), short(new.tokenizer_sha256)),
        ("chat template", short(old.template_sha256), short(new.template_sha256)),
        ("vocabulary size", str(old.vocabulary_size), str(new.vocabulary_size)),
    )
    return [
        f"Its {name} is another: {theirs or 'none'} instead of {ours or 'none'}."
        for name, ours, theirs in told
        if ours != theirs and (name != "architecture" or ours)
    ]


@dataclass(frozen=True)
class Told:
    """One move of the pointer, as a line."""

    move: Move
    text: str


def moves(history: History) -> list[Told]:
    """Every move, in words."""
    seen: set[str] = set()
    told = []
    for move in history.moves:
        back = "Back to" if move.run_id in seen else "To"
        seen.add(move.run_id)
        by = f", {BY[move.by]}" if move.by in BY else ""
        told.append(Told(move, f"{back} {named_run(history, move.run_id)}{by}"))
    return told


def summary(history: History) -> str:
    """The page's first sentence."""
    bases = {run.base.content_digest for run in history.runs if run.base}
    on = f" on {count(len(bases), 'base revisions')}" if bases else ""
    use = "no adapter is in use"
    if history.promoted_run_id:
        use = f"{named_run(history, history.promoted_run_id)} is in use"
    return f"{count(len(history.runs), 'runs')}{on}; {use}."


def spent(runs: Sequence[HistoryRun]) -> list[str]:
    """What all runs cost together, per currency; none where no price is known."""
    total: dict[str, Decimal] = {}
    for currency, amount in _amounts(runs):
        total[currency] = total.get(currency, Decimal()) + amount
    return [f"{amount} {currency}" for currency, amount in total.items()]


def _amounts(runs: Sequence[HistoryRun]) -> Iterator[tuple[str, Decimal]]:
    for run in runs:
        if run.cost is not None and run.cost.amount is not None:
            with suppress(InvalidOperation):  # somebody wrote it by hand
                yield run.cost.currency, Decimal(run.cost.amount)


def gpu_seconds(runs: Sequence[HistoryRun]) -> float:
    """GPU time of all runs."""
    return sum(run.cost.gpu_seconds for run in runs if run.cost)
