"""A stage's last word, read as from a stranger: bounded, and nothing where it makes no sense."""

from typing import TypeVar

from pydantic import ValidationError

from trainer.contract.base import Wire
from trainer.contract.errand import ErrandDetails, ErrandOutcome
from trainer.contract.outcome import MAX_OUTCOME_BYTES, Details, Outcome

First = TypeVar("First", bound=Wire)
Second = TypeVar("Second", bound=Wire)

Word = tuple[Outcome | None, Details | None]
ErrandWord = tuple[ErrandOutcome | None, ErrandDetails | None]


def parse_last_word(data: bytes) -> Word:
    """The outcome, and the details unless their line was lost or cut."""
    return _parse(data, Outcome, Details)


def parse_errand_word(data: bytes) -> ErrandWord:
    """The same of an errand."""
    return _parse(data, ErrandOutcome, ErrandDetails)


def _parse(
    data: bytes, first: type[First], second: type[Second]
) -> tuple[First | None, Second | None]:
    line, _, rest = data.partition(b"\n")
    try:
        outcome = first.model_validate_json(line[:MAX_OUTCOME_BYTES])
    except ValidationError:
        return None, None
    try:
        return outcome, second.model_validate_json(rest)
    except ValidationError:
        return outcome, None
