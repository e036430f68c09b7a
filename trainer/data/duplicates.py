"""Rows that say the same, and what of train is also in validation or test.

Equal keys are found by sorting; near duplicates by their sketches and then compared for real.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from trainer.data.ahead import ahead
from trainer.data.shingles import Numbers, WordRows, Words, runs, shingles_of, words_of
from trainer.data.sketch import BandFiles, Pairs, bands_of
from trainer.data.split import TRAIN, Codes
from trainer.data.spool import Keys, Spool, as_keys
from trainer.pulse import beat

MIN_SHINGLES = 20
"""Jaccard of fewer is a coin toss: one word more or less decides. They are compared exactly."""
NEAR = 0.8
COMMON_SHARE = 0.2
MIN_COMMON_ROWS = 5
"""So many rows share text by chance or by copying; more of them share a template."""
SAMPLE_ROWS = 5000
BATCH_ROWS = 512
KEPT_SETS = 8192
"""Shingle sets that are at hand while pairs are compared."""
MAX_CANDIDATES = 4 << 20
"""Pairs that wait to be compared; 32 MB."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Repeats:
    """Rows among the ones looked at, as masks over all rows."""

    duplicates: Mask
    contradictions: Mask


@dataclass(frozen=True)
class NearPairs:
    """Pairs of rows whose prompts are nearly the same, shape (pairs, 2), the earlier first."""

    pairs: NDArray[np.int64]


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
    for mine, other in ((0, 1), (1, 0)):
        leaked = np.isin(prompts[near.pairs[:, other]], prompts[held])
        overlap |= train & np.isin(prompts, prompts[near.pairs[leaked, mine]])
    return overlap


def find_near(
    spool: Spool, keep: Mask, on_rows: Callable[[int], None] = lambda _: None
) -> NearPairs:
    """Prompts that share at least 80 % of their shingles, each distinct prompt once.

    System text does not count, nor do shingles common to more than a fifth of the rows: they are
    the user's own template. ``on_rows`` hears of rows done and may raise to stop.
    """
    rows = distinct_prompts(as_keys(spool.prompts), keep)
    sets = ShingleSets(spool)
    sets.common = common_shingles(sets, rows)
    with TemporaryDirectory(prefix="bands-", dir=spool.path.parent) as directory:
        bands = BandFiles(Path(directory))
        for batch, sketches in ahead(sets.sketched, sets.batches(rows)):
            bands.append(*sketches)
            on_rows(batch)
        bands.close()
        return NearPairs(verified(sets, bands.candidates(), lambda: on_rows(0)))


def distinct_prompts(prompts: Keys, keep: Mask) -> Numbers:
    """The first row of each prompt, in order."""
    rows = np.flatnonzero(keep)
    _, first = np.unique(prompts[rows], return_index=True)
    return rows[np.sort(first)].astype(np.uint32)


@dataclass
class ShingleSets:
    """The shingles of a row that tell it from others."""

    spool: Spool
    common: Numbers = field(default_factory=lambda: np.empty(0, np.uint32))
    words: Words = field(default_factory=Words)

    def batches(self, rows: Numbers) -> Iterator[tuple[Numbers, WordRows]]:
        """Rows with their words, some at a time."""
        for start in range(0, len(rows), BATCH_ROWS):
            batch = rows[start : start + BATCH_ROWS]
            prompts = [self.spool.row(row).prompt for row in batch.tolist()]
            yield batch, words_of(prompts, self.words)

    def sketched(self, batch: tuple[Numbers, WordRows]) -> tuple[int, tuple[Numbers, Numbers]]:
        """How many rows there were, and those that have text enough with their bands."""
        rows, words = batch
        shingles = runs(words).without(self.common)
        enough = shingles.sizes >= MIN_SHINGLES
        return len(rows), (rows[enough], bands_of(shingles.of(enough)))

    def of(self, row: int) -> Numbers:
        """The set of one row, sorted."""
        prompt = self.spool.row(row).prompt
        return shingles_of([prompt], self.words).without(self.common).numbers


def common_shingles(sets: ShingleSets, rows: Numbers) -> Numbers:
    """Shingles in more than a fifth of the rows, by an even sample of them."""
    sample = rows[:: max(1, len(rows) // SAMPLE_ROWS)]
    numbers = [runs(words).numbers for _, words in sets.batches(sample)]
    if not numbers:
        return sets.common
    found, counts = np.unique(np.concatenate(numbers), return_counts=True)
    return found[counts > max(MIN_COMMON_ROWS, COMMON_SHARE * len(sample))]


def verified(
    sets: ShingleSets, candidates: Iterator[Pairs], on_look: Callable[[], None]
) -> NDArray[np.int64]:
    """The pairs that are near; compared in portions, so that memory is bounded."""
    of = lru_cache(KEPT_SETS)(sets.of)
    near, waiting = np.empty(0, np.uint64), [np.empty(0, np.uint64)]
    for pairs in candidates:
        on_look()
        waiting.append(pairs)
        if sum(map(len, waiting)) > MAX_CANDIDATES:
            near, waiting = np.union1d(near, near_of(waiting, near, of, on_look)), waiting[:1]
    near = np.union1d(near, near_of(waiting, near, of, on_look))
    earlier, later = near & np.uint64(0xFFFFFFFF), near >> np.uint64(32)
    return np.stack([earlier, later], axis=1).astype(np.int64)


def near_of(
    waiting: Sequence[Pairs],
    known: Pairs,
    of: Callable[[int], Numbers],
    on_look: Callable[[], None],
) -> Pairs:
    """Those of the pairs that are near and not known to be."""
    beat()
    pairs = np.setdiff1d(np.concatenate(waiting), known)
    near = np.zeros(len(pairs), bool)
    for at, pair in enumerate(pairs):
        if at % BATCH_ROWS == 0:
            beat()
            on_look()
        later, earlier = divmod(int(pair), 1 << 32)
        near[at] = jaccard(of(earlier), of(later)) >= NEAR
    return pairs[near]


def jaccard(left: Numbers, right: Numbers) -> float:
    """Size of the intersection over size of the union of two sorted sets."""
    merged = np.sort(np.concatenate([left, right]), kind="stable")
    shared = int(np.count_nonzero(merged[1:] == merged[:-1]))
    return shared / (len(merged) - shared)
