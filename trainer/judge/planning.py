"""How much data decides: the smallest gain a gate can show, and the test items a gain needs.

Normal approximation for paired differences. Null and alternative have the same second moment and
different means (for 0/1 scores: the same share of discordant pairs), and a difference can not
have a mean above its second moment's bound.

Source: Connor 1987, Biometrics 43, 207-211, with a threshold other than zero.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from trainer.judge.intervals import Values, is_clustered, normal_quantile, standard_error

POWER = 0.8
GRID_POINTS = 1001


@dataclass(frozen=True)
class Spread:
    """How paired differences vary, apart from their mean."""

    second_moment: float
    """Mean of the squared difference of one item."""
    design_effect: float
    """Variance of the mean over what it would be with independent items; 1 without clusters."""


def spread(tuned: Sequence[float], base: Sequence[float], groups: Sequence[str]) -> Spread:
    """Estimated from scores; one imagined item in either direction keeps it above zero."""
    difference = np.asarray(tuned, dtype=np.float64) - np.asarray(base, dtype=np.float64)
    count = len(difference)
    moment = float((difference**2).sum() + 1) / (count + 2)
    return Spread(moment, _design_effect(difference, groups))


def _design_effect(difference: Values, groups: Sequence[str]) -> float:
    independent = float(difference.std(ddof=1)) / math.sqrt(len(difference))
    if not is_clustered(groups) or independent == 0 or len(set(groups)) < 2:  # noqa: PLR2004 - a variance needs two
        return 1.0
    return max(1.0, (standard_error(difference, groups) / independent) ** 2)


def items_needed(
    spread: Spread, effect: float, threshold: float, confidence: float, *, gates: int = 1
) -> int | None:
    """Test items for 80 % power of all gates if the true gain is ``effect``; None: no number is.

    Power is shared over the gates (Bonferroni), which holds however they are correlated.
    """
    if effect <= threshold:
        return None
    reach = _reach(spread, effect, threshold, confidence, gates)
    return max(1, math.ceil((reach / (effect - threshold)) ** 2))


def detectable(
    spread: Spread, items: int, threshold: float, confidence: float, *, gates: int = 1
) -> float | None:
    """True gain from which on ``items`` test items show it with 80 % power; None: not even 1.

    From which on: a gain above the second moment needs more discordant pairs than were seen,
    so that power may sink once before it rises to stay.
    """

    def surplus(effect: float) -> float:
        reach = _reach(spread, effect, threshold, confidence, gates)
        return effect - threshold - reach / math.sqrt(items)

    grid = np.linspace(threshold, 1.0, GRID_POINTS)
    hidden = [effect for effect in grid.tolist() if surplus(effect) <= 0]
    if hidden[-1] >= 1:
        return None
    step = (1.0 - threshold) / (GRID_POINTS - 1)
    return float(brentq(surplus, hidden[-1], min(1.0, hidden[-1] + step)))


def _reach(spread: Spread, effect: float, threshold: float, confidence: float, gates: int) -> float:
    """Standard deviations of one item, times the quantiles of error and power."""
    moment = max(spread.second_moment, abs(effect))
    at_null = math.sqrt(spread.design_effect * max(0.0, moment - threshold**2))
    at_effect = math.sqrt(spread.design_effect * max(0.0, moment - effect**2))
    error_z = normal_quantile((1 + confidence) / 2)
    power_z = normal_quantile(1 - (1 - POWER) / gates)
    return error_z * at_null + power_z * at_effect
