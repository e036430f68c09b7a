"""MinHash sketches of shingle sets, cut into bands; rows that share a band may be alike.

Bands lie on disk, so that memory is four bytes a row. Owns which pairs are worth a look, not what
they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from trainer.data.shingles import Numbers, Shingles

BANDS, BAND_ROWS = 25, 5
"""Finds a pair at 0.8 with probability 0.9999, one at 0.5 in every other case."""
CROWD = 64
"""So many rows of one band are compared each with each; of more, each with its neighbours."""
NEIGHBOURS = 4
NEXT_BANDS = 3

_DRAWN = np.random.default_rng(1).integers(1 << 32, size=(2, BANDS * BAND_ROWS), dtype=np.uint32)
_FACTORS, _SHIFTS = _DRAWN[0] | np.uint32(1), _DRAWN[1]
_FOLD = np.uint32(0x01000193)
Pairs = NDArray[np.uint64]
"""The later of two rows in the upper half, the earlier in the lower."""


def bands_of(shingles: Shingles) -> Numbers:
    """The bands of each set, shape (BANDS, sets); no set is empty."""
    starts = shingles.ends - shingles.sizes
    bands = np.zeros((BANDS, len(starts)), np.uint32)
    for at, (factor, shift) in enumerate(zip(_FACTORS, _SHIFTS, strict=True)):
        least = np.minimum.reduceat(shingles.numbers * factor + shift, starts)
        band = bands[at // BAND_ROWS]
        band ^= least
        band *= _FOLD
    return bands


@dataclass
class BandFiles:
    """The bands of all rows, a file for each band."""

    directory: Path
    rows: list[Numbers] = field(default_factory=list)
    _files: list[BinaryIO] = field(default_factory=list)

    def append(self, rows: Numbers, bands: Numbers) -> None:
        """Add rows, which come in order."""
        if not self._files:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._files = [self._path(band).open("wb") for band in range(BANDS)]
        self.rows.append(rows)
        for file, band in zip(self._files, bands, strict=True):
            file.write(band.tobytes())

    def close(self) -> None:
        """Finish writing."""
        for file in self._files:
            file.close()

    def candidates(self) -> Iterator[Pairs]:
        """Pairs that share a band, band by band; a pair may come several times."""
        if not self._files:
            return
        rows = np.concatenate(self.rows)
        for band in range(BANDS):
            order = self._ordered(band)
            yield from pairs_of(self._read(band)[order], rows[order])

    def _ordered(self, band: int) -> NDArray[np.int64]:
        """Rows by their band; in a crowd those that share the next bands too lie side by side."""
        keys = self._read(band)
        order = np.argsort(keys, kind="stable")
        crowded = order[sizes_of(keys[order]) > CROWD]
        if not len(crowded):
            return order
        others = [self._read((band + 1 + n) % BANDS)[crowded] for n in range(NEXT_BANDS)]
        # Rows that are alike in all of them lie in another order each time
        shuffled = np.random.default_rng(band).permutation(len(crowded))
        crowded = crowded[np.lexsort(np.stack([shuffled, *others, keys[crowded]]))]
        order[sizes_of(keys[order]) > CROWD] = crowded
        return order

    def _path(self, band: int) -> Path:
        return self.directory / f"band-{band:02d}"

    def _read(self, band: int) -> Numbers:
        return np.fromfile(self._path(band), np.uint32)


def sizes_of(keys: Numbers) -> NDArray[np.int64]:
    """How many have the key of each; the keys are sorted."""
    _, counts = np.unique(keys, return_counts=True)
    return np.repeat(counts, counts)


def pairs_of(keys: Numbers, rows: Numbers) -> Iterator[Pairs]:
    """Pairs of rows with the same key, by how far apart they lie in this order."""
    is_small = sizes_of(keys) <= CROWD
    for distance in range(1, min(CROWD, len(keys))):
        same = keys[distance:] == keys[:-distance]
        if not same.any():
            return
        if distance > NEIGHBOURS:
            same &= is_small[distance:]
        left, right = rows[:-distance][same], rows[distance:][same]
        later, earlier = np.maximum(left, right), np.minimum(left, right)
        yield later.astype(np.uint64) << np.uint64(32) | earlier
