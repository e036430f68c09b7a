"""Rows as training sees them: tokens, which of them carry loss, and the prefix all rows share.

Pure; numpy only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, overload

import numpy as np
from numpy.typing import NDArray

MIN_SHARED_PREFIX = 16
"""A shorter common beginning saves less than dividing packs costs."""


class Row(Protocol):
    """The part of a prepared row that training reads."""

    @property
    def input_ids(self) -> NDArray[np.int32]:
        """Prompt and answer."""

    @property
    def spans(self) -> Sequence[tuple[int, int]]:
        """Half-open ranges of the tokens that carry loss."""


@dataclass(frozen=True)
class Document:
    """One row: ``targets`` are the places of the tokens that carry loss, never place 0."""

    tokens: NDArray[np.int64]
    targets: NDArray[np.int64]

    def __len__(self) -> int:
        """Tokens."""
        return len(self.tokens)


def document(row: Row) -> Document:
    """The row as a document; its first token cannot be predicted, so it carries no loss."""
    tokens = np.asarray(row.input_ids, dtype=np.int64)
    ranges = [np.arange(max(start, 1), min(end, len(tokens))) for start, end in row.spans]
    targets = np.concatenate(ranges) if ranges else np.empty(0)
    return Document(tokens, targets.astype(np.int64))


class StoredRows(Protocol):
    """A split on disk."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row."""

    def tokens(self, index: int, /) -> Row:
        """One row."""


class StoredDocuments(Sequence[Document]):
    """The rows of a split as documents, each read when it is asked for and then forgotten."""

    def __init__(self, rows: StoredRows) -> None:
        self._rows = rows

    @cached_property
    def lengths(self) -> list[int]:
        """Tokens of each document."""
        return list(self._rows.lengths.tolist())

    def __len__(self) -> int:
        """Documents."""
        return len(self.lengths)

    @overload
    def __getitem__(self, at: int) -> Document: ...

    @overload
    def __getitem__(self, at: slice) -> list[Document]: ...

    def __getitem__(self, at: int | slice) -> Document | list[Document]:
        """One document, or some."""
        if isinstance(at, slice):
            return [self[index] for index in range(*at.indices(len(self)))]
        return document(self._rows.tokens(range(len(self))[at]))


def lengths_of(documents: Sequence[Document]) -> Sequence[int]:
    """Tokens of each document; of stored ones without reading them."""
    if isinstance(documents, StoredDocuments):
        return documents.lengths
    return [len(each) for each in documents]


def shared_prefix(documents: Sequence[Document]) -> int:
    """Tokens that all documents begin with and that no document needs a prediction from.

    0 when there are fewer than ``MIN_SHARED_PREFIX``.
    """
    if len(documents) < 2:  # noqa: PLR2004 - one document shares with nobody
        return 0
    first = documents[0].tokens
    length = len(first)
    for each in documents:
        length = min(length, _free_tokens(each))
        differs = np.flatnonzero(first[:length] != each.tokens[:length])
        length = int(differs[0]) if len(differs) else length
        if length < MIN_SHARED_PREFIX:
            return 0
    return length


def _free_tokens(each: Document) -> int:
    """Leading tokens that neither carry loss nor predict a token that does."""
    first_source = int(each.targets[0]) - 1 if len(each.targets) else len(each) - 1
    return max(0, min(first_source, len(each) - 1))
