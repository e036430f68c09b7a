"""Near copies are found at every size: by their true likeness, in a crowd, and within bounds."""

import numpy as np
import pytest

from trainer.data.duplicates import MIN_SHINGLES, NEAR, ShingleSets, find_near, find_overlap
from trainer.data.problems import Place
from trainer.data.shape import SourceRow
from trainer.data.shingles import Words, shingles_of
from trainer.data.sketch import CROWD, NEIGHBOURS, pairs_of
from trainer.data.split import TEST, TRAIN
from trainer.data.spool import Spool

ROWS, WORDS_A_ROW = 400, 100
LEVELS = (0.7, 0.75, 0.79, 0.81, 0.85, 0.9)


def a_message(text, role="user"):
    return {"role": role, "content": text}


def spooled(path, texts):
    spool = Spool(path / "rows.spool")
    answer = a_message("yes", "assistant")
    for number, text in enumerate(texts):
        spool.append(Place(0, number + 1), SourceRow("", text, [a_message(text)], answer))
    spool.close()
    return spool


def a_copy(words, level, rng):
    """A run of words exchanged for others, as long as the level asks for."""
    count = len(words) - 2
    length = max(1, round(count * (1 - level) / (1 + level)) - 2)
    start = int(rng.integers(3, len(words) - length - 3))
    return [
        *words[:start],
        *(f"x{n}" for n in rng.integers(10**9, size=length)),
        *words[start + length :],
    ]


def likeness(left, right):
    """Plainly counted."""
    left, right = (set(zip(words, words[1:], words[2:], strict=False)) for words in (left, right))
    return len(left & right) / len(left | right)


def test_pairs_are_found_by_their_true_likeness(tmp_path):
    rng = np.random.default_rng(3)
    words = [f"w{number}" for number in range(3000)]
    rows = [rng.choice(words, WORDS_A_ROW).tolist() for _ in range(ROWS)]
    rows += [a_copy(rows[at], LEVELS[at % len(LEVELS)], rng) for at in range(ROWS // 2)]
    true = {(at, ROWS + at): likeness(rows[at], rows[ROWS + at]) for at in range(ROWS // 2)}
    expected = {pair for pair, alike in true.items() if alike >= NEAR}
    assert min(true.values()) < 0.72
    assert 80 < len(expected) < 120

    spool = spooled(tmp_path, [" ".join(row) for row in rows])
    found = {tuple(pair) for pair in find_near(spool, np.ones(len(rows), bool)).pairs.tolist()}
    assert found <= expected  # pairs are compared for real: precision is 1
    assert len(found) >= 0.95 * len(expected)
    assert list(tmp_path.iterdir()) == [tmp_path / "rows.spool"]


def test_a_leak_in_a_crowd_of_copies_is_found(tmp_path):
    """So many copies of one text that they are not compared each with each."""
    rng, words = np.random.default_rng(4), [f"w{number}" for number in range(WORDS_A_ROW)]
    crowd = [" ".join(a_copy(words, 0.95, rng)) for _ in range(4 * CROWD)]
    others = [" ".join(f"o{row}-{n}" for n in range(11)) for row in range(20 * CROWD)]
    spool = spooled(tmp_path, [*crowd, *others])
    near = find_near(spool, np.ones(len(spool), bool))
    assert len(near.pairs) < 0.6 * len(crowd) * (len(crowd) - 1) / 2
    codes = np.full(len(spool), TRAIN, np.int8)
    codes[: len(crowd) : 8] = TEST
    overlap = find_overlap(spool, codes, near)
    leaked = int(np.count_nonzero(overlap))
    assert leaked == np.count_nonzero(codes[: len(crowd)] == TRAIN)


@pytest.mark.parametrize(("size", "most"), [(CROWD, CROWD - 1), (CROWD + 1, NEIGHBOURS)])
def test_a_crowd_is_compared_with_its_neighbours_only(size, most):
    keys, rows = np.full(size, 7, np.uint32), np.arange(size, dtype=np.uint32)
    pairs = np.concatenate(list(pairs_of(keys, rows)))
    later, earlier = pairs >> np.uint64(32), pairs & np.uint64(0xFFFFFFFF)
    assert (earlier < later).all()
    assert int((later - earlier).max()) == most
    assert len(pairs) == sum(size - distance for distance in range(1, most + 1))


def test_no_shingle_goes_from_one_message_to_the_next():
    words = Words()
    apart = shingles_of([[a_message("a b c"), a_message("d e f", "assistant")]], words)
    joined = shingles_of([[a_message("a b c d e f")]], words)
    assert (len(apart.numbers), len(joined.numbers)) == (2, 4)
    assert set(apart.numbers.tolist()) < set(joined.numbers.tolist())


def test_sets_of_many_texts_are_those_of_each():
    texts = [
        "",
        "one",
        "one two three",
        "a b c d a b c d",
        "Straße ǅ 字字字字 x_y",
        "one two three",
    ]
    prompts = [[a_message(text)] for text in texts]
    together, alone = (
        shingles_of(prompts, Words()),
        [shingles_of([one], Words()) for one in prompts],
    )
    parts = np.split(together.numbers, together.ends[:-1])
    assert [part.tolist() for part in parts] == [one.numbers.tolist() for one in alone]
    assert together.sizes.tolist()[:4] == [0, 0, 1, 4]


def test_the_words_at_hand_are_bounded(monkeypatch):
    monkeypatch.setattr("trainer.data.shingles.MAX_WORDS", 10)
    words = Words()
    first = words.numbers("one two three")
    words.numbers(" ".join(f"w{number}" for number in range(100)))
    assert len(words.known) <= 10
    assert words.numbers("one two three") == first


def test_candidates_are_compared_in_portions(tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.data.duplicates.MAX_CANDIDATES", 3)
    words = [f"w{number}" for number in range(MIN_SHINGLES * 2)]
    texts = [" ".join([*words, f"end{number}"]) for number in range(6)]
    texts += [" ".join(f"o{row}-{n}" for n in range(40)) for row in range(30)]
    spool = spooled(tmp_path, texts)
    pairs = find_near(spool, np.ones(len(spool), bool)).pairs
    assert len({tuple(pair) for pair in pairs.tolist()}) == len(pairs) == 15
    assert len(ShingleSets(spool).of(0)) == MIN_SHINGLES * 2 - 1
