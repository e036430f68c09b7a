"""How often the whole gate is passed at the effect that the judge states, or plans for.

Stated: a run with no true gain is drawn, the judge states its minimum detectable effect, and a new
run is drawn with just that gain. Planned: the items that the judge asks for are drawn.
"""

from scipy.stats import binom

import numpy as np

from trainer.judge.planning import Spread, items_needed
from trainer.judge.proportions import normal_quantile, tango_statistic


def exact_power(n, discordant, gain, threshold, confidence):
    z = normal_quantile((1 + confidence) / 2)
    total = 0.0
    m = np.arange(int(binom.ppf(1e-7, n, discordant)), int(binom.isf(1e-7, n, discordant)) + 1)
    share = (discordant + gain) / 2 / discordant
    for each, weight in zip(m.tolist(), binom.pmf(m, n, discordant), strict=True):
        lo, hi = 0, each + 1  # smallest number of wins that passes
        while lo < hi:
            mid = (lo + hi) // 2
            wins, losses = mid, each - mid
            passes = (wins - losses) / n > threshold and tango_statistic(wins, losses, n, threshold) > z
            lo, hi = (lo, mid) if passes else (mid + 1, hi)
        total += weight * binom.sf(lo - 1, each, share)
    return total
