"""Memory does not grow with the rows, but for the few bytes of each that are told here."""

import threading
import time
import tracemalloc
from array import array

import numpy as np
import pytest

from trainer.data.ahead import DEPTH, ahead
from trainer.data.duplicates import find_near
from trainer.data.problems import Place
from trainer.data.shape import SourceRow
from trainer.data.spool import Spool, members
from trainer.data.template import TemplateRefusal, time_limit
from trainer.data.tokenise import RowNames

BYTES_A_ROW = 250
"""Spool: 90 in its columns, which grow by eighths; the search: about 100 while a band is sorted."""


def a_spool(path, count):
    spool = Spool(path / f"rows-{count}")
    answer = {"role": "assistant", "content": "yes"}
    for number in range(count):
        text = " ".join(f"{number * 31 % 9973}w{at}" for at in range(24))
        message = {"role": "user", "content": text}
        spool.append(Place(0, number + 1), SourceRow("", text, [message], answer))
    spool.close()
    return spool


def test_what_the_search_needs_is_some_bytes_a_row(tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.data.duplicates.SAMPLE_ROWS", 100)
    monkeypatch.setattr("trainer.data.shingles.MAX_WORDS", 1000)
    monkeypatch.setattr("trainer.data.duplicates.BATCH_ROWS", 100)
    peaks = []
    for count in (600, 2600):
        tracemalloc.start()
        spool = a_spool(tmp_path, count)
        find_near(spool, np.ones(count, bool))
        RowNames.of(spool)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / 2000 < BYTES_A_ROW


def test_a_row_comes_back_as_it_went_whatever_its_text(tmp_path):
    spool = Spool(tmp_path / "rows")
    texts = ["plain", 'quo"te\n\u2028', "\x00 字 \U0001f600", "", "long " * 5000]
    for number, text in enumerate(texts):
        prompt = [{"role": "user", "content": text, "tool_calls": [{"n": 10**30, "f": 0.1}]}]
        answer = {"role": "assistant", "content": text[::-1], "weight": 0}
        spool.append(Place(1, number + 7), SourceRow(f"id{number}", text, prompt, answer))
    spool.close()
    for number in (3, 0, 4, 1, 2):
        row = spool.row(number)
        assert (row.place, row.id) == (Place(1, number + 7), f"id{number}")
        assert row.prompt[0]["content"] == texts[number]
        assert row.prompt[0]["tool_calls"] == [{"n": 10**30, "f": 0.1}]
        assert row.answer == {"role": "assistant", "content": texts[number][::-1], "weight": 0}


def test_the_members_of_a_mask_come_in_order(monkeypatch):
    monkeypatch.setattr("trainer.data.spool.BLOCK_ROWS", 3)
    mask = np.array([1, 0, 1, 1, 1, 0, 0, 1], bool)
    assert list(members(mask)) == [0, 2, 3, 4, 7]


def test_rows_that_say_the_same_are_told_apart_by_number():
    spool = Spool.__new__(Spool)
    digests = b"".join(bytes([value]) + bytes(31) for value in (5, 9, 5, 5, 0xFF, 9))
    spool.digests, spool.files = bytearray(digests), array("H", range(6))
    names = RowNames.of(spool)
    ends = [names.of_row(row).removeprefix(names.of_row(row)[:16]) for row in range(6)]
    assert ends == ["", "", "-2", "-3", "", "-2"]
    assert names.of_row(4) == "ff00000000000000"


def test_a_step_is_done_ahead_but_not_far():
    seen, taken = [], []

    def items():
        for number in range(20):
            taken.append(number)
            yield number

    for result in ahead(lambda number: (threading.current_thread(), number), items()):
        seen.append(result[1])
        assert result[0] is not threading.main_thread()
        assert len(taken) - len(seen) <= DEPTH
    assert seen == list(range(20))


def test_what_fails_ahead_fails_in_its_turn():
    results = ahead(lambda number: 1 // (3 - number), range(10))
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_limit_within_a_limit_leaves_the_outer_one_armed():
    def spin():
        end_s = time.monotonic() + 5
        while time.monotonic() < end_s:
            pass

    def limited():
        with time_limit(0.05):
            with time_limit(30):
                pass
            spin()

    with pytest.raises(TemplateRefusal, match="did not end"):
        limited()
