"""Intervals of means, of many samples at once: t over groups, t, and the bootstrap.

``samples`` has a sample a row, an item a column. The judge has one sample, simulations
have thousands of the same shape, and both come through here. Limits are not kept in range.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri
from scipy.stats import t as student_t

Values = npt.NDArray[np.float64]

RESAMPLES = 4999
SEED = 17
BATCH_VALUES = 2_000_000
"""Drawn item numbers held in memory at a time."""
NUDGE = 1e-9


@dataclass(frozen=True)
class Limits:
    """Of each sample the limits of its mean."""

    low: Values
    high: Values


@dataclass(frozen=True)
class Groups:
    """Which items belong together: items in the order of their groups, and where each starts."""

    order: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]
    sizes: Values

    @classmethod
    def of(cls, names: Sequence[str]) -> "Groups":
        """From the name of each item's group."""
        _, index, sizes = np.unique(np.asarray(names), return_inverse=True, return_counts=True)
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)
        return cls(np.argsort(index, kind="stable"), starts, sizes.astype(np.float64))

    def __len__(self) -> int:
        """How many groups there are."""
        return len(self.sizes)

    @property
    def worst_size(self) -> float:
        """Size-weighted mean group size: the design effect if all items of a group are alike."""
        return float((self.sizes**2).sum() / self.sizes.sum())

    def sums(self, samples: Values) -> Values:
        """Of each sample the sums of its groups."""
        sums: Values = np.add.reduceat(samples[:, self.order], self.starts, axis=1)
        return sums

    def residuals(self, samples: Values) -> Values:
        """Each group's sum less what the sample's mean would give a group of its size."""
        means = samples.mean(axis=1, keepdims=True)
        residuals: Values = self.sums(samples) - means * self.sizes
        return residuals

    def standard_errors(self, samples: Values) -> Values:
        """Of each mean, from group sums (the ratio estimator's linearised variance)."""
        count, squares = len(self), (self.residuals(samples) ** 2).sum(axis=1)
        errors: Values = np.sqrt(count / (count - 1) * squares) / samples.shape[1]
        return errors


def group_t(samples: Values, groups: Groups, confidence: float) -> Limits:
    """T intervals on group sums, with one degree of freedom less than there are groups."""
    quantile = float(student_t.ppf((1 + confidence) / 2, len(groups) - 1))
    means, reach = samples.mean(axis=1), quantile * groups.standard_errors(samples)
    return Limits(means - reach, means + reach)


def student(samples: Values, confidence: float) -> Limits:
    """Student's intervals of means."""
    n = samples.shape[1]
    quantile = float(student_t.ppf((1 + confidence) / 2, n - 1))
    means, reach = samples.mean(axis=1), quantile * samples.std(axis=1, ddof=1) / n**0.5
    return Limits(means - reach, means + reach)


def bca(samples: Values, confidence: float, *, resamples: int = RESAMPLES) -> Limits:
    """Bias-corrected and accelerated bootstrap intervals of means, seeded.

    Never narrower than the t interval: on 60 items the bootstrap alone is about 3 % too narrow.
    Not the studentised bootstrap: where most items are ties, resamples have no spread.

    Source: Efron 1987, JASA 82, 171-185; narrowness: Hesterberg 2015, The American
    Statistician 69, 371-386.
    """
    plain, means = student(samples, confidence), samples.mean(axis=1)
    centred = samples - means[:, None]
    drawn = resampled_means(centred, resamples)
    with np.errstate(divide="ignore", invalid="ignore"):  # items that are all alike: no numbers
        bias = ndtri((drawn < -NUDGE).mean(axis=1) + (abs(drawn) <= NUDGE).mean(axis=1) / 2)
        skewness = (centred**3).sum(axis=1) / (centred**2).sum(axis=1) ** 1.5 / 6
        drawn.sort(axis=1)
        tails = [bias + ndtri(tail) for tail in ((1 - confidence) / 2, (1 + confidence) / 2)]
        low, high = (_quantile(drawn, ndtr(bias + z / (1 - skewness * z))) for z in tails)
    # fmin: no number where every resample lies on one side of the mean
    return Limits(np.fmin(plain.low, means + low), np.fmax(plain.high, means + high))


def resampled_means(samples: Values, resamples: int) -> Values:
    """Means of resampled items, of all samples the same items: a product of matrices."""
    count, n = samples.shape
    random, found = np.random.default_rng(SEED), np.empty((count, resamples))
    rows = max(1, BATCH_VALUES // n)
    for start in range(0, resamples, rows):
        batch = found[:, start : start + rows]
        items = random.integers(0, n, (batch.shape[1], n)) + n * np.arange(batch.shape[1])[:, None]
        times = np.bincount(items.ravel(), minlength=items.size).reshape(items.shape)
        batch[:] = samples @ (times.T / n)
    return found


def _quantile(ordered: Values, levels: Values) -> Values:
    """Of each row its own quantile, between neighbours linearly; no number for no level."""
    place = np.nan_to_num(levels) * (ordered.shape[1] - 1)
    below = np.floor(place).astype(np.intp)
    above = np.minimum(below + 1, ordered.shape[1] - 1)
    rows = np.arange(len(ordered))
    left, right = ordered[rows, below], ordered[rows, above]
    found: Values = np.where(np.isnan(levels), np.nan, left + (place - below) * (right - left))
    return found


def carriers(parts: Values) -> Values:
    """Effective number of units that make up the variance: k if k equal ones do, n/3 if normal."""
    squares = np.where(abs(parts) > NUDGE, parts, 0.0) ** 2  # rounding errors are no spread
    fourth = (squares**2).sum(axis=1)
    count: Values = np.divide(
        squares.sum(axis=1) ** 2, fourth, out=np.zeros_like(fourth), where=fourth > 0
    )
    return count
