"""Rows come back from disk as they went, and damage is noticed."""

import hashlib

import numpy as np
import pytest
from builders.preparing import prepared, rows, write_jsonl
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.contract.failures import FailureClass
from trainer.data.prepared import (
    BATCH_ROWS,
    PreparedRow,
    PreparedRows,
    load_plan,
    open_prepared,
    row_digest,
    split_digest,
    write_rows,
)
from trainer.errors import StageError
from trainer.store import layout
from trainer.store.file import FileStore


def a_row(number):
    return PreparedRow(
        id=f"row-{number}",
        group=f"{number % 3}",
        prompt=[{"role": "user", "content": f"né {number}"}],
        reference="answer",
        input_ids=np.arange(number % 7 + 1, dtype=np.int32),
        spans=[(0, 1)] if number % 2 else [],
    )


@pytest.mark.parametrize("count", [0, 1, BATCH_ROWS, BATCH_ROWS + 1])
def test_rows_come_back_as_they_went(tmp_path, count):
    assert write_rows(tmp_path / "rows.arrow", map(a_row, range(count))) == count
    found = PreparedRows(tmp_path / "rows.arrow")
    assert len(found) == count
    for number in {0, count // 2, count - 1} & set(range(count)):
        row, expected = found[number], a_row(number)
        assert row.input_ids.dtype == np.int32
        assert row.input_ids.tolist() == expected.input_ids.tolist()
        assert vars(row) | {"input_ids": 0} == vars(expected) | {"input_ids": 0}


@pytest.mark.parametrize("index", [-1, 3])
def test_a_row_that_is_not_there_is_an_index_error(tmp_path, index):
    write_rows(tmp_path / "rows.arrow", map(a_row, range(3)))
    with pytest.raises(IndexError):
        PreparedRows(tmp_path / "rows.arrow")[index]


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.text(max_size=8), max_size=20), data=st.data())
def test_a_split_digest_is_of_the_rows_in_any_order(texts, data):
    digests = [row_digest([{"role": "user", "content": text}], text) for text in texts]
    shuffled = data.draw(st.permutations(digests))
    assert digest_of(digests) == digest_of(shuffled)
    assert digest_of(digests) == f"sha256:{hashlib.sha256(b''.join(sorted(digests))).hexdigest()}"
    if digests:
        assert digest_of(digests) != digest_of(digests[1:])


def digest_of(digests):
    return split_digest(np.frombuffer(bytearray(b"".join(digests)), np.uint8).reshape(-1, 32))


def test_a_damaged_split_is_refused(root):
    write_jsonl(root / "train.jsonl", rows(200))
    run_id = prepared(root).outcome.run_id
    store = FileStore((root / "output").resolve())
    key = layout.prepared(run_id, "test.arrow")
    store.write(key, store.read(key) + b" ")
    with pytest.raises(StageError, match="damaged"):
        open_prepared(store, run_id, root / "opened")


def test_a_run_without_a_plan_is_not_found(root):
    store = FileStore((root / "output").resolve())
    with pytest.raises(StageError, match="prepare has to run first") as caught:
        open_prepared(store, "a" * 16, root / "opened")
    assert caught.value.failure is FailureClass.NOT_FOUND


def test_a_plan_of_another_version_is_refused_by_its_place():
    with pytest.raises(StageError, match=r"plan.json: format: Field required"):
        load_plan(b"{}")
