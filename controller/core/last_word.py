"""A stage's last word, read as from a stranger: bounded, and nothing where it makes no sense."""

from pydantic import ValidationError

from trainer.contract.outcome import MAX_OUTCOME_BYTES, Details, Outcome

Word = tuple[Outcome | None, Details | None]


def parse_last_word(data: bytes) -> Word:
    """The outcome, and the details unless their line was lost or cut."""
    first, _, rest = data.partition(b"\n")
    try:
        outcome = Outcome.model_validate_json(first[:MAX_OUTCOME_BYTES])
    except ValidationError:
        return None, None
    try:
        return outcome, Details.model_validate_json(rest)
    except ValidationError:
        return outcome, None
