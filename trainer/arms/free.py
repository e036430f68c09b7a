"""Arms that cost nothing: the commonest answer, and the answer of the nearest training row.

When one of them does as well as a model, nobody needs the model. No torch.
"""

from collections import Counter
from collections.abc import Sequence

from trainer.arms.retrieve import Retriever
from trainer.data.prepared import PreparedRow, Rows


def majority_label(train: Rows, test: Sequence[PreparedRow]) -> list[str]:
    """The commonest training answer, for every test row; of equals the first in order."""
    counts = Counter(row.reference for row in train)
    label = min(counts, key=lambda answer: (-counts[answer], answer), default="")
    return [label for _ in test]


def nearest_row(train: Rows, test: Sequence[PreparedRow]) -> list[str]:
    """For each test row the answer of the most similar training row of another group."""
    retriever = Retriever.over(train)
    found = (retriever.nearest(row, 1) for row in test)
    return [rows[0].reference if rows else "" for rows in found]
