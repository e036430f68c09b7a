"""Near duplicates are found where there is text enough, and only there."""

import numpy as np
import pytest

from trainer.data.duplicates import find_near, find_overlap, find_repeats
from trainer.data.problems import Place
from trainer.data.shape import SourceRow
from trainer.data.split import TEST, TRAIN, VALIDATION
from trainer.data.spool import Spool

WORDS = [f"word{number}" for number in range(400)]


def a_text(start, *, changed=()):
    words = WORDS[start : start + 40]
    for at in changed:
        words[at] = "other"
    return " ".join(words)


@pytest.fixture
def spooled(tmp_path):
    def spool(*prompts, answers=None, system=""):
        made = Spool(tmp_path / "rows.arrow")
        for number, prompt in enumerate(prompts):
            messages = [{"role": "system", "content": system}] if system else []
            messages.append({"role": "user", "content": prompt})
            answer = {"role": "assistant", "content": (answers or "x" * len(prompts))[number]}
            made.append(Place(0, number + 1), SourceRow("", prompt, messages, answer))
        made.close()
        return made

    return spool


def near(spool):
    return [tuple(pair) for pair in find_near(spool, np.ones(len(spool), bool)).pairs.tolist()]


OTHERS = [a_text(start) for start in range(50, 250, 40)]

TEXTS = [
    pytest.param(a_text(0, changed=[20]), [(0, 1)], id="one word of forty"),
    pytest.param(a_text(0, changed=range(0, 40, 4)), [], id="every fourth word"),
    pytest.param(a_text(300), [], id="another text"),
    pytest.param(a_text(0).upper(), [], id="the same in capitals is one prompt, no pair"),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_texts_that_share_most_of_their_shingles_are_near(spooled, text, expected):
    assert near(spooled(a_text(0), text, *OTHERS)) == expected


def test_short_texts_are_only_compared_exactly(spooled):
    short = ["please block my card now", "please block my card today"]
    assert near(spooled(*short, *OTHERS)) == []


def test_the_users_template_does_not_make_rows_alike(spooled):
    template = " ".join(f"instruction{number}" for number in range(200))
    prompts = [f"{template} {a_text(start)}" for start in range(0, 360, 36)]
    assert near(spooled(*prompts)) == []


def test_system_text_does_not_make_rows_alike(spooled):
    system = " ".join(f"rule{number}" for number in range(200))
    assert near(spooled(*OTHERS, system=system)) == []


def test_chinese_text_has_shingles_too(spooled):
    text = "".join(chr(0x4E00 + number * 7 % 2000) for number in range(60))
    assert near(spooled(text, text[:-1] + "一", *OTHERS)) == [(0, 1)]


def test_a_repeat_is_a_pair_of_prompt_and_answer(spooled):
    spool = spooled("a", "A ", "a", "b", "b", answers="xxyzz")
    found = find_repeats(spool, np.ones(5, bool))
    assert np.flatnonzero(found.duplicates).tolist() == [1, 4]
    assert np.flatnonzero(found.contradictions).tolist() == [0, 1, 2]


def test_rows_that_were_dropped_repeat_nothing(spooled):
    spool = spooled("a", "a", "b", answers="xxy")
    found = find_repeats(spool, np.array([False, True, True]))
    assert not found.duplicates.any()


@pytest.mark.parametrize("held", [VALIDATION, TEST])
def test_only_rows_of_train_leave_for_overlap(spooled, held):
    spool = spooled(a_text(0), a_text(0, changed=[20]), a_text(100), a_text(100), *OTHERS[:1])
    codes = np.array([TRAIN, held, held, TRAIN, TRAIN], np.int8)
    pairs = find_near(spool, np.ones(5, bool))
    overlap = find_overlap(spool, codes, pairs)
    assert np.flatnonzero(overlap).tolist() == [0, 3]
