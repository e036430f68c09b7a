"""How often a gate is passed where the true difference lies on its threshold, and coverage."""

from collections.abc import Iterator
from itertools import product

import numpy as np

from bench.verdict import worlds
from bench.verdict.table import Line, Promise, upper
from bench.verdict.worlds import World
from trainer.judge.intervals import paired_differences

CHUNK = 4_000_000
"""Scores of one arm in memory at a time."""


def cells(sizes: tuple[int, ...]) -> Iterator[World]:
    """Every world whose true difference lies on the gate's threshold: passing it is an error."""
    for n in sizes:
        yield from binary_cells(n)
        yield from grouped_cells(n)
        yield from graded_cells(n)


def binary_cells(n: int) -> Iterator[World]:
    """Independent 0/1 items: easy, middling and hard; loosely and closely paired."""
    for p in (0.1, 0.5, 0.9):
        for rho in (0.0, 0.9):
            for gain in (0.0, -0.05):
                yield worlds.binary(n, p, rho, gain)


def grouped_cells(n: int) -> Iterator[World]:
    """Items in groups, few of them where there are few items."""
    for size, uneven in ((3, False), (3, True), (5, False), (10, False)):
        groups = worlds.clusters(n, size, uneven=uneven)
        for p, gain in product((0.1, 0.5, 0.9), (0.0, -0.05)):
            yield worlds.grouped(groups, p, 0.7, gain)
        yield worlds.grouped(groups, 0.5, 0.1, 0.0)
        yield worlds.graded_groups(groups)


def graded_cells(n: int) -> Iterator[World]:
    """Graded scores: even, skewed either way, mostly ties."""
    for differences in (worlds.symmetric, worlds.skewed_down, worlds.skewed_up, worlds.two_points):
        yield worlds.graded(n, differences, 0.0)
    yield worlds.graded(n, worlds.few_changes, 0.0, discordant=0.1)
    yield worlds.graded(n, worlds.few_losses, -0.05, discordant=0.05)


def measure(world: World, draws: int, confidence: float, seed: int) -> Line:
    """Draw, ask the judge, count."""
    random = np.random.default_rng(seed)
    passed = covered = refused = 0
    for count in chunks(draws, world.n):
        tuned, base = world.draw(random, count)
        found = paired_differences(tuned, base, world.groups, confidence)
        if found is None:
            refused = draws
            break
        passed += int((found.low > world.gain).sum())
        covered += int(((found.low <= world.gain) & (world.gain <= found.high)).sum())
    bound = upper(passed, draws)
    coverage = None if refused else covered / draws
    return Line(
        part="errors",
        world=world.name,
        n=world.n,
        threshold=world.gain,
        draws=draws,
        error=passed / draws,
        bound=bound,
        coverage=coverage,
        refused=refused,
        kept=Promise.error(bound) and (coverage is None or _is_covered(world, coverage, draws)),
    )


def _is_covered(world: World, coverage: float, draws: int) -> bool:
    """Both promises; the second is about the truth, so chance gets two standard errors."""
    if len(set(world.groups)) < Promise.MANY or world.discordant < Promise.DISCORDANT:
        return Promise.covers(coverage)
    chance = 2 * (0.05 * 0.95 / draws) ** 0.5
    return Promise.CLOSE[0] - chance <= coverage <= Promise.CLOSE[1] + chance


def chunks(draws: int, n: int) -> Iterator[int]:
    """Parts of the draws that fit in memory."""
    size = max(1, CHUNK // n)
    for start in range(0, draws, size):
        yield min(size, draws - start)
