"""Worlds: where simulated paired scores come from, with the true difference in each.

A world is drawn many times at once: two arrays, a test split a row, an item a column.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from trainer.judge.means import Values

Scores = tuple[Values, Values]
"""Tuned, base."""
Draw = Callable[[np.random.Generator, int], Scores]


@dataclass(frozen=True)
class World:
    """One of them; ``gain`` is the true difference and ``discordant`` the share that differs."""

    name: str
    groups: list[str]
    gain: float
    discordant: float
    draw: Draw

    @property
    def n(self) -> int:
        """Items of a test split."""
        return len(self.groups)


def alone(n: int) -> list[str]:
    """Every item is its own group."""
    return [str(index) for index in range(n)]


def clusters(n: int, size: int, *, uneven: bool) -> list[str]:
    """Groups of one size, or of a third of it, it, and five thirds of it in turn."""
    sizes = [max(1, size // 3), size, 2 * size - max(1, size // 3)] if uneven else [size]
    groups: list[str] = []
    number = 0
    while len(groups) < n:
        groups += [str(number)] * sizes[number % len(sizes)]
        number += 1
    return groups[:n]


def binary(n: int, p: float, rho: float, gain: float) -> World:
    """Independent 0/1 items: the base is right at rate ``p``; ``rho`` correlates the two arms."""
    both = both_right(p, p + gain, rho)
    only_tuned, only_base = p + gain - both, p - both

    def draw(random: np.random.Generator, count: int) -> Scores:
        chance = random.random((count, n))
        tuned = chance < both + only_tuned
        base = (chance < both) | (~tuned & (chance < both + only_tuned + only_base))
        return tuned.astype(float), base.astype(float)

    name = f"0/1, p {p}, correlation {rho}"
    return World(name, alone(n), gain, only_tuned + only_base, draw)


def both_right(p: float, q: float, rho: float) -> float:
    """Rate at which two arms with these rates and this correlation are both right."""
    covariance = rho * (p * (1 - p) * q * (1 - q)) ** 0.5
    return min(p * q + covariance, p, q)


def grouped(groups: list[str], p: float, icc: float, gain: float) -> World:
    """0/1 items in groups, from correlated normals: 0.5 between arms, ``icc`` within groups."""
    index = np.unique(groups, return_inverse=True)[1]
    n, rho = len(groups), 0.5

    def noise(random: np.random.Generator, count: int) -> Values:
        shared = random.standard_normal((count, index.max() + 1))[:, index]
        own: Values = icc**0.5 * shared + (1 - icc) ** 0.5 * random.standard_normal((count, n))
        return own

    def draw(random: np.random.Generator, count: int) -> Scores:
        item = rho**0.5 * noise(random, count)
        tuned, base = (
            (item + (1 - rho) ** 0.5 * noise(random, count) < ndtri(rate)).astype(float)
            for rate in (p + gain, p)
        )
        return tuned, base

    size = n / len(set(groups))
    name = f"0/1, groups of {size:.0f}{_unevenness(groups)}, p {p}, ICC {icc}"
    return World(name, groups, gain, discordance(p, p + gain, rho), draw)


def _unevenness(groups: list[str]) -> str:
    sizes = np.unique(groups, return_counts=True)[1]
    return "" if np.median(sizes) == sizes.max() else " uneven"


def discordance(p: float, q: float, rho: float, draws: int = 200_000) -> float:
    """Share of items on which correlated normals put the two arms on different sides."""
    random = np.random.default_rng(1)
    item = rho**0.5 * random.standard_normal(draws)
    base = ndtr((ndtri(p) - item) / (1 - rho) ** 0.5)
    tuned = ndtr((ndtri(q) - item) / (1 - rho) ** 0.5)
    return float((base * (1 - tuned) + tuned * (1 - base)).mean())


def graded_groups(groups: list[str], gain: float = 0.0) -> World:
    """Graded scores whose differences are normal, half of their variance shared in a group."""
    index = np.unique(groups, return_inverse=True)[1]

    def draw(random: np.random.Generator, count: int) -> Scores:
        shared = random.normal(0, 0.1, (count, index.max() + 1))[:, index]
        change = (gain + shared + random.normal(0, 0.1, (count, len(groups)))).clip(-1, 1)
        return _with_room(change)

    size = len(groups) / len(set(groups))
    return World(f"graded, groups of {size:.0f}{_unevenness(groups)}", groups, gain, 1.0, draw)


Differences = Callable[[np.random.Generator, tuple[int, int]], Values]


def graded(n: int, differences: Differences, gain: float, discordant: float = 1.0) -> World:
    """Graded scores of independent items whose differences are drawn as given."""

    def draw(random: np.random.Generator, count: int) -> Scores:
        return _with_room(differences(random, (count, n)).clip(-1, 1))

    name = f"graded, {differences.__name__.replace('_', ' ')}"
    return World(name, alone(n), gain, discordant, draw)


def _with_room(change: Values) -> Scores:
    """A base score from which the change leads to a score; none is exactly 0 or 1 in both."""
    base = np.where(change > 0, 1 - change, 1.0) * 0.999
    return base + change, base


Shape = tuple[int, int]


def symmetric(random: np.random.Generator, shape: Shape) -> Values:
    """Half ties, half differences either way."""
    return np.asarray(random.binomial(1, 0.5, shape) * random.uniform(-0.8, 0.8, shape))


def skewed_down(random: np.random.Generator, shape: Shape) -> Values:
    """Small gains for most, a long tail of losses; mean 0."""
    return 0.1 - random.exponential(0.1, shape)


def skewed_up(random: np.random.Generator, shape: Shape) -> Values:
    """Small losses for most, a long tail of gains; mean 0."""
    return random.exponential(0.1, shape) - 0.1


def two_points(random: np.random.Generator, shape: Shape) -> Values:
    """A tenth loses much, the rest gains little; mean 0."""
    return 0.05 - 0.5 * random.binomial(1, 0.1, shape)


def few_losses(random: np.random.Generator, shape: Shape) -> Values:
    """A twentieth loses everything, the rest are ties; mean -0.05."""
    return -1.0 * random.binomial(1, 0.05, shape)


def few_changes(random: np.random.Generator, shape: Shape) -> Values:
    """A tenth changes, either way; mean 0."""
    return np.asarray(random.binomial(1, 0.1, shape) * random.choice([-0.6, 0.6], shape))
