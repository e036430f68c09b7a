"""Intervals for a paired difference and for a mean score; one function each chooses the method.

Scores are 0 to 1, one per test item; items that share a group are not independent. ``confidence``
is the two-sided level, 0 to 1. Owns no decision: ``gate`` compares limits with thresholds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.judge import means
from trainer.judge.means import RESAMPLES, Groups, Limits, Values, carriers
from trainer.judge.proportions import Interval, tango, wilson

MIN_UNITS = 20
"""Fewer groups (or graded items): the t and bootstrap intervals are not to be trusted."""
SPARSE_GROUPS, SPARSE_ITEMS = 6, 5
"""Fewer units that carry the spread: it says too little about the units not seen. Without the rule
groups err in up to 6 % on one side; with 10 for groups they cover in up to 99.7 %."""
MANY_ITEMS = 5000
"""More graded items: the mean is normal, and resampling them all takes minutes."""

SIGNED, SCORES = (-1.0, 1.0), (0.0, 1.0)


@dataclass(frozen=True)
class Intervals:
    """One interval per sample, all by one method."""

    estimate: Values
    low: Values
    high: Values
    method: str

    def first(self) -> Interval:
        """The one of the first sample."""
        return Interval(
            float(self.estimate[0]), float(self.low[0]), float(self.high[0]), self.method
        )


def is_binary(scores: Sequence[float] | Values) -> bool:
    """Whether every score is exactly 0 or 1."""
    return bool(np.isin(np.asarray(scores, dtype=np.float64), (0.0, 1.0)).all())


def is_clustered(groups: Sequence[str]) -> bool:
    """Whether any two items share a group."""
    return len(set(groups)) < len(groups)


def paired_difference(
    tuned: Sequence[float],
    base: Sequence[float],
    groups: Sequence[str],
    confidence: float,
    *,
    resamples: int = RESAMPLES,
) -> Interval | None:
    """The interval that decides on ``mean(tuned) - mean(base)``; None: too few units for any."""
    ours, theirs = (np.asarray([scores], dtype=np.float64) for scores in (tuned, base))
    found = paired_differences(ours, theirs, groups, confidence, resamples=resamples)
    return None if found is None else found.first()


def paired_differences(
    tuned: Values,
    base: Values,
    groups: Sequence[str],
    confidence: float,
    *,
    resamples: int = RESAMPLES,
) -> Intervals | None:
    """The same of many samples of one shape.

    0/1 scores of independent items: Tango. Clusters: t on group sums. Else: BCa.
    """
    differences = tuned - base
    if not is_clustered(groups) and is_binary(tuned) and is_binary(base):
        return _counted(differences, confidence)
    return _of_means(differences, groups, confidence, bounds=SIGNED, resamples=resamples)


def mean_score(
    scores: Sequence[float],
    groups: Sequence[str],
    confidence: float,
    *,
    resamples: int = RESAMPLES,
) -> Interval:
    """The interval of one arm's mean score. Too few units: Wilson as if each were 0 or 1.

    A score in [0, 1] varies at most as much as a 0/1 score with the same mean, so that fallback
    is wide, never narrow.
    """
    sample = np.asarray([scores], dtype=np.float64)
    chosen: Intervals | None = None
    if is_clustered(groups) or not is_binary(sample):
        chosen = _of_means(sample, groups, confidence, bounds=SCORES, resamples=resamples)
    if chosen is not None:
        return chosen.first()
    return _all_or_nothing(sample[0], Groups.of(groups).worst_size, confidence, signed=False)


def _counted(differences: Values, confidence: float) -> Intervals:
    """Tango's intervals, each of which depends on the counts of wins and losses alone."""
    n = differences.shape[1]
    counts = np.stack([(differences > 0).sum(axis=1), (differences < 0).sum(axis=1)], axis=1)
    tables, place = np.unique(counts, axis=0, return_inverse=True)
    found = [tango(int(wins), int(losses), n, confidence) for wins, losses in tables]
    low, high = (np.asarray([getattr(one, side) for one in found]) for side in ("low", "high"))
    return Intervals(differences.mean(axis=1), low[place], high[place], "Tango")


def _of_means(
    samples: Values,
    names: Sequence[str],
    confidence: float,
    *,
    bounds: tuple[float, float],
    resamples: int,
) -> Intervals | None:
    """T on the sums of groups, else the bootstrap; None where there are too few of either."""
    groups = Groups.of(names)
    if len(groups) < MIN_UNITS:
        return None
    if len(groups) < len(names):
        method, limits = "group t", means.group_t(samples, groups, confidence)
    elif len(names) > MANY_ITEMS:
        method, limits = "t", means.student(samples, confidence)
    else:
        method, limits = "bootstrap", means.bca(samples, confidence, resamples=resamples)
    limits = _widened(limits, samples, groups, confidence, signed=bounds == SIGNED)
    low, high = np.maximum(limits.low, bounds[0]), np.minimum(limits.high, bounds[1])
    return Intervals(samples.mean(axis=1), low, high, method)


def _widened(
    limits: Limits,
    samples: Values,
    groups: Groups,
    confidence: float,
    *,
    signed: bool,
) -> Limits:
    """Where few units carry the spread, all-or-nothing items say how wide it may be.

    Sixty items that are all alike have no spread, and still may hide a twentieth that differs.
    """
    low, high = limits.low.copy(), limits.high.copy()
    for row in np.flatnonzero(is_sparse(samples, groups)):
        wide = _all_or_nothing(samples[row], groups.worst_size, confidence, signed=signed)
        low[row], high[row] = min(low[row], wide.low), max(high[row], wide.high)
    return Limits(low, high)


def is_sparse(samples: Values, groups: Groups) -> npt.NDArray[np.bool_]:
    """Of each sample, whether the units that carry its spread are too few to trust it."""
    least = SPARSE_GROUPS if len(groups) < samples.shape[1] else SPARSE_ITEMS
    few: npt.NDArray[np.bool_] = carriers(groups.residuals(samples)) < min(least, len(groups) / 4)
    return few


def _all_or_nothing(values: Values, size: float, confidence: float, *, signed: bool) -> Interval:
    """The score interval of 0/1 items with the same sums, all items of a group of ``size`` alike.

    No bounded values with these sums vary more, so it is wide, never narrow.
    """
    units = len(values) / size
    if not signed:
        return wilson(float(values.mean()) * units, units, confidence)
    gains, drops = float(values.clip(min=0).sum()), float(-values.clip(max=0).sum())
    return tango(gains / size, drops / size, units, confidence)
