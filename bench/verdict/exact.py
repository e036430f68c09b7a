"""0/1 scores without chance: every outcome of a test split, weighed by its probability.

An outcome is a table (n11, n10, n01, n00) of items that both, only the tuned, only the base and
neither answer got right. The judge's interval depends on n10 and n01 alone, so tables that agree
in them are summed: that is exact, and 61 times fewer at n = 60.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, xlogy

from bench.verdict.table import Line, Promise
from trainer.judge.means import Values
from trainer.judge.proportions import tango

DISCORDANT = np.unique(np.concatenate([np.linspace(0.005, 0.1, 20), np.linspace(0.1, 1.0, 91)]))
"""Shares of items that only one of the two gets right."""
TRUTHS = (0.0, -0.05, 0.05, 0.1)


@dataclass(frozen=True)
class Outcomes:
    """All wins and losses that are possible on n items, with the judge's limits of each."""

    n: int
    wins: Values
    losses: Values
    low: Values
    high: Values

    @classmethod
    def of(cls, n: int, confidence: float) -> "Outcomes":
        """Ask the judge for each."""
        pairs = [(wins, losses) for wins in range(n + 1) for losses in range(n + 1 - wins)]
        found = [tango(wins, losses, n, confidence) for wins, losses in pairs]
        wins, losses = np.asarray(pairs, dtype=np.float64).T
        low, high = np.asarray([(one.low, one.high) for one in found]).T
        return cls(n, wins, losses, low, high)

    def probabilities(self, win_rate: float, loss_rate: float) -> Values:
        """Of each outcome, by the multinomial law."""
        ties = self.n - self.wins - self.losses
        ways = gammaln(self.n + 1) - sum(
            gammaln(count + 1) for count in (self.wins, self.losses, ties)
        )
        likely = xlogy(self.wins, win_rate) + xlogy(self.losses, loss_rate)
        rest = xlogy(ties, max(0.0, 1 - win_rate - loss_rate))
        probabilities: Values = np.exp(ways + likely + rest)
        return probabilities


def lines(sizes: tuple[int, ...], confidence: float) -> Iterator[Line]:
    """One line per number of items and true difference: the worst over all discordances."""
    for n in sizes:
        outcomes = Outcomes.of(n, confidence)
        for truth in TRUTHS:
            yield _worst(outcomes, truth)


def _worst(outcomes: Outcomes, truth: float) -> Line:
    shares = DISCORDANT[abs(truth) <= DISCORDANT]
    rates = [((share + truth) / 2, (share - truth) / 2) for share in shares]
    weights = np.asarray([outcomes.probabilities(*pair) for pair in rates])
    errors = weights @ (outcomes.low > truth)
    covered = weights @ ((outcomes.low <= truth) & (truth <= outcomes.high))
    plain = covered[shares >= Promise.DISCORDANT] if outcomes.n >= Promise.MANY else covered[:0]
    return Line(
        part="exact",
        world="0/1, all tables, worst discordance",
        n=outcomes.n,
        threshold=truth,
        error=float(errors.max()),
        bound=float(errors.max()),
        coverage=float(covered.min()),
        kept=Promise.error(errors.max())
        and Promise.covers(covered.min())
        and all(Promise.is_close(one) for one in plain),
        note=f"coverage {plain.min():.3f} to {plain.max():.3f} from 0.1 on" if len(plain) else "",
    )
