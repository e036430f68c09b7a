"""What the answers are like as a whole: a closed set, JSON, or text; counted in one pass."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.data.duplicates import Mask
from trainer.data.message import message_text
from trainer.data.resolve import MAX_LABELS, Choice, closed_labels, metric
from trainer.data.split import TRAIN, Codes
from trainer.data.spool import Spool, members

SAMPLE_ROWS = 5000
"""Rows looked at to tell JSON from text and short from long."""


@dataclass(frozen=True)
class AnswerFacts:
    """Facts that need no tokenizer; ``in_train`` counts labels, empty for open answers."""

    labels: Sequence[str]
    in_train: dict[str, int]
    metric: Choice[str]


def answer_facts(spool: Spool, keep: Mask, codes: Codes) -> AnswerFacts:
    """Look at every answer that is kept."""
    everywhere: Counter[str] = Counter()
    in_train: Counter[str] = Counter()
    sample: list[str] = []
    calls = False
    every = max(1, int(np.count_nonzero(keep)) // SAMPLE_ROWS)
    for number, row in enumerate(members(keep)):
        is_open = len(everywhere) > MAX_LABELS
        if is_open and number % every:
            continue
        said = spool.row(row).answer
        answer = message_text(said).strip()
        calls |= "tool_calls" in said
        if number % every == 0:
            sample.append(answer)
        if not is_open:
            everywhere[answer] += 1
            in_train[answer] += bool(codes[row] == TRAIN)
    labels = [] if calls else closed_labels(everywhere)
    return AnswerFacts(labels, {label: in_train[label] for label in labels}, metric(labels, sample))
