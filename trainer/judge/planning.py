"""How much data decides: the smallest gain a gate can show, and the test items a gain needs.

Independent 0/1 scores: the power of the gate's own score test, outcome by outcome; discordant pairs
stay as many whatever the gain is, unless it takes more. Else: normal approximation; graded scores
and 0/1 scores in groups keep their variance, for more differ as the gain grows.

Sources: Connor 1987, Biometrics 43, 207-211, for the sums over discordant pairs; Julious and Owen
2006, Pharmaceutical Statistics 5, 29-37, for a spread that is known from a sample only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr
from scipy.stats import binom
from scipy.stats import t as student_t

from trainer.judge.intervals import is_binary, is_clustered, is_sparse
from trainer.judge.means import Groups, Values, carriers
from trainer.judge.proportions import is_above, normal_quantile, null_variance

POWER = 0.8
HALVINGS = 20
MOST_ITEMS = 10**9
COUNTED_ITEMS = 4000
"""More independent 0/1 items: the normal approximation has the power to 0.1 %."""
UNLIKELY = 1e-9
CAUTION = 2.0
"""On a spread's doubt: with less, groups of 0/1 scores have a power just below 80 %."""


@dataclass(frozen=True)
class Spread:
    """How paired differences vary."""

    moment: float
    """Of one item: the mean square where scores are 0 or 1, the variance where they are graded."""
    design_effect: float = 1.0
    """Variance of the mean over what it would be with independent items; 1 without clusters."""
    doubt: float = 0.0
    """Relative standard error of the standard deviation, as far as it is known from a sample."""
    unit_items: float = 0.0
    """Items per unit of a t interval, whose quantile depends on how many there are; 0: no t."""
    is_graded: bool = False

    def deviation(self, mean: float) -> float:
        """Standard deviation of one item if the true difference is ``mean``."""
        if self.is_graded:
            return math.sqrt(self.design_effect * self.moment)
        if self.unit_items:
            return math.sqrt(self.design_effect * max(self.moment, abs(mean) - mean**2))
        return math.sqrt(max(0.0, max(self.moment, abs(mean)) - mean**2))


def spread(tuned: Sequence[float], base: Sequence[float], groups: Sequence[str]) -> Spread:
    """Estimated from scores; one imagined item in either direction keeps it above zero.

    Where the interval is that of all-or-nothing groups, so is the spread.
    """
    sample = np.asarray([tuned], dtype=np.float64) - np.asarray([base], dtype=np.float64)
    found, count = Groups.of(groups), len(groups)
    is_graded = not (is_binary(tuned) and is_binary(base))
    is_by_means = is_graded or is_clustered(groups)
    if is_by_means and is_sparse(sample, found)[0]:
        moment, design_effect = float(abs(sample).sum()), found.worst_size
    else:
        moment, design_effect = _moment(sample, is_graded), _design_effect(sample, found)
    return Spread(
        moment=(moment + 1) / (count + 2),
        design_effect=design_effect,
        doubt=_doubt(found.sums(sample)),
        unit_items=count / len(found) if is_by_means else 0.0,
        is_graded=is_graded,
    )


def _moment(sample: Values, is_graded: bool) -> float:
    centre = sample.mean() if is_graded else 0.0
    return float(((sample - centre) ** 2).sum())


def _design_effect(sample: Values, groups: Groups) -> float:
    independent = float(sample.std(ddof=1)) / math.sqrt(sample.shape[1])
    if len(groups) in (1, sample.shape[1]) or independent == 0:
        return 1.0
    return max(1.0, (float(groups.standard_errors(sample)[0]) / independent) ** 2)


def _doubt(sums: Values) -> float:
    """Half of the relative standard error of the mean square, which is what units' fourths say."""
    units = sums.shape[1]
    return math.sqrt(max(0.0, 1 / max(1.0, float(carriers(sums)[0])) - 1 / units)) / 2


@dataclass(frozen=True)
class Aim:
    """What has to be shown of differences with this spread."""

    spread: Spread
    threshold: float
    confidence: float
    gates: int = 1

    @property
    def wanted(self) -> float:
        """Power at one gate, so that all are passed with ``POWER`` however they are correlated.

        Where the spread is in doubt, more: it is the mean power that is promised.
        """
        power = normal_quantile(1 - (1 - POWER) / self.gates)
        reach = normal_quantile((1 + self.confidence) / 2) + power
        return float(ndtr(power * math.sqrt(1 + (reach * CAUTION * self.spread.doubt) ** 2)))

    def is_shown(self, effect: float, items: int) -> bool:
        """Whether so many items show a true gain of ``effect``."""
        if effect <= self.threshold:
            return False
        return self.power(effect, items) >= self.wanted

    def power(self, effect: float, items: int) -> float:
        """Probability of passing the gate."""
        if self.spread.unit_items:
            return self._power_of_means(effect, items)
        if items <= COUNTED_ITEMS:
            return self._power_of_counts(effect, items)
        return self._power_of_scores(effect, items)

    def _power_of_means(self, effect: float, items: int) -> float:
        freedom = max(1.0, items / self.spread.unit_items - 1)
        quantile = float(student_t.ppf((1 + self.confidence) / 2, freedom))
        error = self.spread.deviation(effect) / math.sqrt(items)
        return 1.0 if error == 0 else float(ndtr((effect - self.threshold) / error - quantile))

    def _power_of_scores(self, effect: float, items: int) -> float:
        """Of many items: at the null the score test has the variance that is likeliest there."""
        moment = max(self.spread.moment, abs(effect))
        null = null_variance((moment + effect) / 2, (moment - effect) / 2, 1.0, self.threshold)
        quantile = normal_quantile((1 + self.confidence) / 2)
        gap = (effect - self.threshold) * math.sqrt(items) - quantile * math.sqrt(null)
        deviation = self.spread.deviation(effect)
        return float(gap >= 0) if deviation == 0 else float(ndtr(gap / deviation))

    def _power_of_counts(self, effect: float, items: int) -> float:
        """Sum over the discordant pairs there may be; each needs so many wins to pass."""
        moment = min(1.0, max(self.spread.moment, abs(effect)))
        least = int(binom.ppf(UNLIKELY, items, moment))
        pairs = np.arange(least, int(binom.isf(UNLIKELY, items, moment)) + 1)
        wins = wins_needed(items, least, len(pairs), self.threshold, self.confidence)
        passed = binom.sf(wins - 1, pairs, (1 + effect / moment) / 2)
        return float(binom.pmf(pairs, items, moment) @ passed)


def wins_needed(
    items: int, least: int, count: int, threshold: float, confidence: float
) -> npt.NDArray[np.int64]:
    """Wins that pass the gate, for ``least`` and more discordant pairs; one too many: none do.

    One more pair that is lost never helps and one that is won never hurts, so that each number is
    the one before or one more.
    """
    found, wins = [], 0
    for pairs in range(least, least + count):
        while wins <= pairs and not is_above(wins, pairs - wins, items, threshold, confidence):
            wins += 1
        found.append(wins)
    return np.asarray(found)


def items_needed(
    spread: Spread, effect: float, threshold: float, confidence: float, *, gates: int = 1
) -> int | None:
    """Test items for 80 % power of all gates if the true gain is ``effect``; None: no number is."""
    if effect <= threshold:
        return None
    aim, enough = Aim(spread, threshold, confidence, gates), 1
    while not aim.is_shown(effect, enough):
        enough *= 2
        if enough > MOST_ITEMS:
            return None
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        too_few, enough = (too_few, middle) if aim.is_shown(effect, middle) else (middle, enough)
    return enough


def detectable(
    spread: Spread, items: int, threshold: float, confidence: float, *, gates: int = 1
) -> float | None:
    """True gain that ``items`` test items show with 80 % power; None: not even 1."""
    aim, shown, hidden = Aim(spread, threshold, confidence, gates), 1.0, threshold
    if not aim.is_shown(shown, items):
        return None
    for _ in range(HALVINGS):
        middle = (shown + hidden) / 2
        shown, hidden = (middle, hidden) if aim.is_shown(middle, items) else (shown, middle)
    return shown
