"""Rows that say the same, and what of train is also in validation or test.

Equal keys are found by sorting; near duplicates by MinHash and then compared for real.
"""

import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.data.message import Message
from trainer.data.shape import normalised
from trainer.data.split import TRAIN, Codes
from trainer.data.spool import Keys, Spool, as_keys

SHINGLE_WORDS = 3
MIN_SHINGLES = 20
"""Jaccard of fewer is a coin toss: one word more or less decides. They are compared exactly."""
NEAR = 0.8
COMMON_SHARE = 0.2
MIN_COMMON_ROWS = 5
"""So many rows share text by chance or by copying; more of them share a template."""
SAMPLE_ROWS = 5000
PERMUTATIONS = 125
BANDS = (25, 5)
"""Finds a pair at 0.8 with probability 0.9999, one at 0.5 in every other case."""

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Repeats:
    """Rows among the ones looked at, as masks over all rows."""

    duplicates: Mask
    contradictions: Mask


@dataclass(frozen=True)
class NearPairs:
    """Pairs of rows whose prompts are nearly the same, the earlier first."""

    pairs: Sequence[tuple[int, int]]


def find_repeats(spool: Spool, keep: Mask) -> Repeats:
    """Second and later copies of a (prompt, answer) pair; prompts with several answers."""
    rows = np.flatnonzero(keep)
    pairs, prompts = as_keys(spool.pairs)[rows], as_keys(spool.prompts)[rows]
    _, first = np.unique(pairs, return_index=True)
    duplicates = np.zeros(len(keep), bool)
    duplicates[rows] = True
    duplicates[rows[first]] = False
    asked, answers = np.unique(prompts[first], return_counts=True)
    contradictions = np.zeros(len(keep), bool)
    contradictions[rows] = np.isin(prompts, asked[answers > 1])
    return Repeats(duplicates, contradictions)


def find_overlap(spool: Spool, codes: Codes, near: NearPairs) -> Mask:
    """Rows of train whose group or prompt, or one nearly like it, is held out."""
    train, held = codes == TRAIN, codes > TRAIN
    prompts = as_keys(spool.prompts)
    overlap = np.zeros(len(codes), bool)
    for keys in (as_keys(spool.groups), prompts):
        overlap |= train & np.isin(keys, keys[held])
    pairs = np.array(near.pairs, np.int64).reshape(-1, 2)
    for mine, other in ((0, 1), (1, 0)):
        leaked = np.isin(prompts[pairs[:, other]], prompts[held])
        overlap |= train & np.isin(prompts, prompts[pairs[leaked, mine]])
    return overlap


def find_near(spool: Spool, keep: Mask, on_row: Callable[[], None] = lambda: None) -> NearPairs:
    """Prompts that share at least 80 % of their shingles, each distinct prompt once.

    System text does not count, nor do shingles common to more than a fifth of the rows: they are
    the user's own template.
    """
    rows = distinct_prompts(as_keys(spool.prompts), keep)
    common = common_shingles(spool, rows)
    sets = ShingleSets(spool, common)
    index, pairs = None, []
    for row in rows:
        on_row()
        shingles = sets.of(row)
        if len(shingles) < MIN_SHINGLES:
            continue
        if index is None:
            index = NearIndex()
        pairs += [
            (other, row)
            for other in sorted(index.candidates(row, shingles))
            if jaccard(sets.of(other), shingles) >= NEAR
        ]
    return NearPairs(pairs)


def distinct_prompts(prompts: Keys, keep: Mask) -> list[int]:
    """The first row of each prompt, in order."""
    rows = np.flatnonzero(keep)
    _, first = np.unique(prompts[rows], return_index=True)
    found: list[int] = rows[np.sort(first)].tolist()
    return found


@dataclass(frozen=True)
class ShingleSets:
    """The shingles of a row that tell it from others."""

    spool: Spool
    common: frozenset[int]

    def of(self, row: int) -> frozenset[int]:
        """Shingles of a row's prompt."""
        return shingles_of(self.spool.row(row).prompt) - self.common


class NearIndex:
    """Locality-sensitive hashing of shingle sets."""

    def __init__(self) -> None:
        # 2 s of import, so only for data that has texts long enough
        from datasketch import MinHash, MinHashLSH  # noqa: PLC0415

        self._empty = MinHash(num_perm=PERMUTATIONS, seed=1, hashfunc=int)
        self._index = MinHashLSH(num_perm=PERMUTATIONS, params=BANDS)

    def candidates(self, row: int, shingles: frozenset[int]) -> list[int]:
        """Earlier rows that may be near; adds this one."""
        sketch = self._empty.copy()
        sketch.update_batch(sorted(shingles))
        found: list[int] = self._index.query(sketch)
        self._index.insert(row, sketch, check_duplication=False)
        return found


def common_shingles(spool: Spool, rows: Sequence[int]) -> frozenset[int]:
    """Shingles in more than a fifth of the rows, by an even sample of them."""
    sample = rows[:: max(1, len(rows) // SAMPLE_ROWS)]
    counts: Counter[int] = Counter()
    for row in sample:
        counts.update(shingles_of(spool.row(row).prompt))
    least = max(MIN_COMMON_ROWS, COMMON_SHARE * len(sample))
    return frozenset(shingle for shingle, count in counts.items() if count > least)


def shingles_of(prompt: Sequence[Message]) -> frozenset[int]:
    """Runs of three words of a conversation; a character of Chinese or Japanese is a word."""
    return frozenset(
        zlib.crc32(" ".join(run).encode())
        for message in prompt
        if message["role"] != "system"
        for run in runs(WORD.findall(normalised(message["content"])))
    )


def runs(words: Sequence[str]) -> Iterator[Sequence[str]]:
    """Every run of ``SHINGLE_WORDS`` words."""
    return (words[at : at + SHINGLE_WORDS] for at in range(len(words) - SHINGLE_WORDS + 1))


def jaccard(left: frozenset[int], right: frozenset[int]) -> float:
    """Size of the intersection over size of the union."""
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared)
