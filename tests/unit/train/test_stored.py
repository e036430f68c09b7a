"""Training reads its rows from the file as it needs them; the split is never in memory."""

import tracemalloc

import numpy as np
import pytest

from trainer.data.prepared import PreparedRow, PreparedRows, write_rows
from trainer.train.corpus import Corpus
from trainer.train.documents import StoredDocuments, document, lengths_of, shared_prefix

ROWS, TOKENS = 2000, 200
MOST_BYTES = 600_000
"""The lengths and a step; all rows would be 1.6 MB, and twice that as training has them."""


def a_row(number, tokens=TOKENS, shared=20):
    own = np.full(tokens - shared, number % 1000, np.int32)
    ids = np.concatenate([np.arange(shared, dtype=np.int32), own])
    return PreparedRow(
        f"r{number}", "g", [], "", ids, [(tokens - 5, tokens - 2), (tokens - 1, tokens)]
    )


@pytest.fixture
def stored(tmp_path):
    def store(rows):
        write_rows(tmp_path / "train.arrow", rows)
        return PreparedRows(tmp_path / "train.arrow")

    return store


def test_stored_documents_are_those_of_the_rows(stored):
    rows = [a_row(number, tokens=30 + number) for number in range(1500)]
    found = StoredDocuments(stored(rows))
    assert found.lengths == lengths_of([document(row) for row in rows])
    for at in (0, 1023, 1024, 1499, -1):
        ours, plain = found[at], document(rows[at])
        assert ours.tokens.tolist() == plain.tokens.tolist()
        assert ours.targets.tolist() == plain.targets.tolist()
    assert [len(each) for each in found[1022:1025]] == found.lengths[1022:1025]
    with pytest.raises(IndexError):
        found[1500]


def test_an_epoch_holds_no_more_than_a_step_of_rows(stored):
    split = stored(a_row(number) for number in range(ROWS))
    tracemalloc.start()
    corpus = Corpus(StoredDocuments(split), shared_prefix(StoredDocuments(split)))
    assert corpus.prefix == 20
    for start in range(0, ROWS, 50):
        members = range(start, start + 50)
        assert corpus.targets(members) == 50 * 4
        assert sum(batch.data_tokens for batch in corpus.batches(members, 4096)) == 50 * TOKENS
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MOST_BYTES


def test_lengths_are_read_once_and_without_the_rows(stored, monkeypatch):
    corpus = Corpus(StoredDocuments(stored(map(a_row, range(10)))))
    monkeypatch.setattr(PreparedRows, "tokens", None)
    plain = Corpus([document(a_row(1))])
    assert corpus.lengths is corpus.lengths
    assert plain.lengths is plain.lengths
    assert list(corpus.lengths) == [TOKENS] * 10


def test_documents_that_share_too_little_are_known_after_the_first_ones(stored, monkeypatch):
    split, asked = stored(a_row(number, shared=3) for number in range(100)), []
    real = PreparedRows.tokens
    monkeypatch.setattr(
        PreparedRows, "tokens", lambda self, at: (asked.append(at), real(self, at))[1]
    )
    assert shared_prefix(StoredDocuments(split)) == 0
    assert len(asked) < 5
