"""Score intervals of proportions: a paired difference (Tango) and one proportion (Wilson).

Counts may be fractions, for effective sample sizes. Owns no choice between methods: that is
``intervals``.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

from scipy.optimize import brentq
from scipy.stats import binomtest

NUDGE = 1e-9

normal_quantile = NormalDist().inv_cdf


@dataclass(frozen=True)
class Interval:
    """An estimate with its limits and the name of the method."""

    estimate: float
    low: float
    high: float
    method: str


def tango(wins: float, losses: float, n: float, confidence: float) -> Interval:
    """Score interval of the difference of two paired proportions, ``(wins - losses) / n``.

    The set of differences that the score test does not refuse. Fractional counts are allowed,
    for effective sample sizes.

    Source: Tango 1998, Statistics in Medicine 17(8), 891-908, equations 24 to 26.
    """
    z = normal_quantile((1 + confidence) / 2)
    return Interval(
        estimate=(wins - losses) / n,
        low=_tango_low(wins, losses, n, z),
        high=-_tango_low(losses, wins, n, z),
        method="Tango",
    )


def tango_statistic(wins: float, losses: float, n: float, difference: float) -> float:
    """The score statistic for the hypothesis that the true difference is ``difference``."""
    return (wins - losses - n * difference) / math.sqrt(null_variance(wins, losses, n, difference))


def is_above(wins: float, losses: float, n: float, difference: float, confidence: float) -> bool:
    """Whether Tango's lower limit is above ``difference``, without looking for the limit."""
    if wins - losses <= n * difference:
        return False
    z = normal_quantile((1 + confidence) / 2)
    return (wins - losses - n * difference) ** 2 > z**2 * null_variance(wins, losses, n, difference)


def _tango_low(wins: float, losses: float, n: float, z: float) -> float:
    if wins + losses == 0:
        return -(z**2) / (n + z**2)  # the limit of the general case, which is 0/0 at no difference
    estimate = (wins - losses) / n
    if estimate <= -1:
        return -1.0

    def excess(difference: float) -> float:
        gap = wins - losses - n * difference
        return gap**2 - z**2 * null_variance(wins, losses, n, difference)

    # the statistic falls with the difference; at the estimate of +-1 its variance is zero
    return float(brentq(excess, -1.0, estimate - NUDGE, xtol=1e-12))


def null_variance(wins: float, losses: float, n: float, difference: float) -> float:
    """Variance of ``wins - losses`` at the likeliest loss rate under the null difference."""
    linear = -(wins + losses) + (2 * n - wins + losses) * difference
    constant = -losses * difference * (1 - difference)
    root = math.sqrt(max(0.0, linear**2 - 8 * n * constant))
    loss_rate = max((root - linear) / (4 * n), 0.0, -difference)
    return max(0.0, n * (2 * loss_rate + difference * (1 - difference)))


def wilson(successes: float, n: float, confidence: float) -> Interval:
    """Wilson's score interval of one proportion; fractional counts for effective sample sizes.

    Source: Wilson 1927, JASA 22, 209-212. scipy's takes whole counts only.
    """
    z = normal_quantile((1 + confidence) / 2)
    rate = successes / n
    centre = (successes + z**2 / 2) / (n + z**2)
    half = z * math.sqrt(n * rate * (1 - rate) + z**2 / 4) / (n + z**2)
    low = 0.0 if rate == 0 else centre - half
    return Interval(rate, low, 1.0 if rate == 1 else centre + half, "Wilson")


def mcnemar(wins: int, losses: int) -> float:
    """Exact two-sided p-value of no difference. Printed, never decides."""
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
