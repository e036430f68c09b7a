"""What a grader flagged, as one note. Flags are shown; they decide nothing."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from trainer.judge.evidence import Answers

MAX_SHOWN = 3
"""Flags that are named; the answers file has them all."""


def flag_note(answers: Mapping[str, Answers]) -> str:
    """How often each of the commonest flags was given, by arm; empty: none was."""
    counts = {arm: Counter(_flags(given)) for arm, given in answers.items()}
    total = sum(counts.values(), Counter[str]())
    shown = sorted(total, key=lambda flag: (-total[flag], flag))
    said = "; ".join(f"{flag}: {', '.join(_by_arm(flag, counts))}" for flag in shown[:MAX_SHOWN])
    more = len(shown) - MAX_SHOWN
    others = f"; and {more} more" if more > 0 else ""
    return f"The grader flagged answers. {said}{others}." if shown else ""


def _flags(given: Answers) -> Iterable[str]:
    return (flag for flags in given.flags for flag in flags)


def _by_arm(flag: str, counts: Mapping[str, Counter[str]]) -> Iterator[str]:
    return (f"{arm} {found[flag]}" for arm, found in counts.items() if found[flag])
