"""The training rows most like a test row, by BM25. Reads training rows only; knows no model."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import bm25s
import numpy as np

from trainer.arms.metrics import tokens
from trainer.data.chat import Message
from trainer.data.prepared import PreparedRow, Rows


def question(messages: Sequence[Message]) -> str:
    """What is asked, without the system text that all rows share."""
    return "\n".join(turn["content"] for turn in messages if turn["role"] != "system")


def numbered(words: Sequence[str], vocabulary: dict[str, int]) -> "array[int]":
    """Words as numbers; new ones are added to the vocabulary."""
    return array("i", (vocabulary.setdefault(word, len(vocabulary)) for word in words))


@dataclass(frozen=True)
class Retriever:
    """An index over the training rows.

    All words count: "from" and "until" are what tells two short messages apart.
    """

    rows: Rows
    index: bm25s.BM25 | None

    @classmethod
    def over(cls, rows: Rows) -> "Retriever":
        """Index the questions of the rows; of a row only the numbers of its words are kept."""
        vocabulary: dict[str, int] = {}
        corpus = [numbered(tokens(question(row.prompt)), vocabulary) for row in rows]
        if not vocabulary:
            return cls(rows, None)
        index = bm25s.BM25()
        index.index((corpus, vocabulary), show_progress=False)
        return cls(rows, index)

    def nearest(self, query: PreparedRow, count: int) -> list[PreparedRow]:
        """Up to ``count`` rows of other groups, most similar first; ties in row order."""
        scores = self._scores(tokens(question(query.prompt)))
        order = np.argsort(-scores, kind="stable")
        others = (self.rows[at] for at in order if self.rows[at].group != query.group)
        return [row for row, _ in zip(others, range(count), strict=False)]

    def _scores(self, words: list[str]) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        if self.index is None or not words:
            return np.zeros(len(self.rows), dtype=np.float32)
        return np.asarray(self.index.get_scores(words), dtype=np.float32)
