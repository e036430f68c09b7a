"""Does the verdict keep its word? One-sided error, coverage and power of the gate by simulation.

Runs the judge's own interval and planning functions on drawn scores and prints Markdown tables.
Usage: python bench/verdict.py [--replications N] [--seed S]
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, norm

from trainer.judge.intervals import Interval, is_clustered, paired_difference, tango
from trainer.judge.planning import Spread, items_needed

Values = npt.NDArray[np.float64]
CONFIDENCE = 0.95
MAX_ERROR, MIN_COVERAGE, MIN_POWER = 0.05, 0.93, 0.80
RESAMPLES = 999
SLACK = 0.02
"""Below the promised power that Monte Carlo noise explains at 1,000 replications."""


@dataclass(frozen=True)
class Draw:
    """Paired scores of one simulated test split."""

    tuned: Values
    base: Values
    groups: Sequence[str]


Source = Callable[[np.random.Generator], Draw]


@dataclass(frozen=True)
class Cell:
    """One world: where the scores come from, the true difference in it, the gate's threshold."""

    name: str
    n: int
    truth: float
    threshold: float
    source: Source


@dataclass(frozen=True)
class Measured:
    """How often what happened."""

    passed: int
    covered: int
    refused: int
    replications: int

    @property
    def error_bound(self) -> float:
        """Upper Monte Carlo bound of the pass rate, 95 % one-sided."""
        found = binomtest(self.passed, self.replications)
        return float(found.proportion_ci(0.9, method="exact").high)


def independent(n: int) -> list[str]:
    """Every item is its own group."""
    return [str(index) for index in range(n)]


def clusters(n: int, size: int, *, uneven: bool) -> list[str]:
    """Groups of one size, or of sizes 1, 3, 5, ... around it."""
    sizes = [1, size, 2 * size - 1] if uneven else [size]
    groups: list[str] = []
    while len(groups) < n:
        group = len(set(groups))
        groups += [str(group)] * sizes[group % len(sizes)]
    return groups[:n]


def binary(p: float, truth: float, *, rho: float, groups: list[str], icc: float = 0.0) -> Source:
    """0/1 scores from correlated normals: ``rho`` between arms, ``icc`` within groups."""
    index, n = np.unique(groups, return_inverse=True)[1], len(groups)

    def noise(random: np.random.Generator) -> Values:
        shared = random.standard_normal(index.max() + 1)[index]
        own: Values = icc**0.5 * shared + (1 - icc) ** 0.5 * random.standard_normal(n)
        return own

    def draw(random: np.random.Generator) -> Draw:
        item = noise(random)
        tuned, base = (
            rho**0.5 * item + (1 - rho) ** 0.5 * noise(random) < norm.ppf(rate)
            for rate in (p + truth, p)
        )
        return Draw(tuned.astype(float), base.astype(float), groups)

    return draw


def graded(n: int, differences: Callable[[np.random.Generator, int], Values]) -> Source:
    """Graded scores whose differences are drawn as given."""

    def draw(random: np.random.Generator) -> Draw:
        change = differences(random, n).clip(-1, 1)
        base = np.where(change > 0, 1 - change, 1.0) * 0.999  # any base with room for the change
        return Draw(base + change, base, independent(n))

    return draw


def symmetric(random: np.random.Generator, n: int) -> Values:
    """Half ties, half differences either way."""
    return np.asarray(random.binomial(1, 0.5, n) * random.uniform(-0.8, 0.8, n), dtype=np.float64)


def skewed_down(random: np.random.Generator, n: int) -> Values:
    """Small gains for most, a long tail of losses; mean 0."""
    return np.asarray(0.1 - random.exponential(0.1, n), dtype=np.float64)


def two_points(random: np.random.Generator, n: int) -> Values:
    """A tenth loses much, the rest gains little; mean 0."""
    return np.asarray(0.05 - 0.5 * random.binomial(1, 0.1, n), dtype=np.float64)


def few_losses(random: np.random.Generator, n: int) -> Values:
    """A twentieth loses everything, the rest are ties; mean -0.05."""
    return np.asarray(-1.0 * random.binomial(1, 0.05, n), dtype=np.float64)


def few_changes(random: np.random.Generator, n: int) -> Values:
    """A tenth changes, either way; mean 0."""
    return np.asarray(random.binomial(1, 0.1, n) * random.choice([-0.6, 0.6], n), dtype=np.float64)


def cells() -> Iterator[Cell]:
    """Every world whose true difference lies on the gate's threshold: passing it is an error."""
    for n in (60, 120, 250):
        yield from binary_cells(n)
        yield from clustered_cells(n)
        for differences in (symmetric, skewed_down, two_points, few_changes):
            name = f"graded, {differences.__name__}"
            yield Cell(name, n, 0.0, 0.0, graded(n, differences))
        yield Cell("graded, few_losses", n, -0.05, -0.05, graded(n, few_losses))


def binary_cells(n: int) -> Iterator[Cell]:
    """Independent 0/1 items: easy, middling and hard; loosely and closely paired."""
    groups = independent(n)
    for p in (0.1, 0.5, 0.9):
        for rho in (0.0, 0.5, 0.9):
            for truth in (0.0, -0.05):
                name = f"0/1, p {p}, rho {rho}"
                yield Cell(name, n, truth, truth, binary(p, truth, rho=rho, groups=groups))


def clustered_cells(n: int) -> Iterator[Cell]:
    """0/1 items in groups."""
    for uneven in (False, True):
        groups = clusters(n, 3, uneven=uneven)
        for p in (0.1, 0.5, 0.9):
            for icc in (0.1, 0.7):
                for truth in (0.0, -0.05):
                    kind = "uneven" if uneven else "even"
                    name = f"0/1, {kind} groups of 3, p {p}, icc {icc}"
                    yield Cell(
                        name, n, truth, truth, binary(p, truth, rho=0.5, groups=groups, icc=icc)
                    )


def simulate(cell: Cell, replications: int, seed: int) -> Measured:
    """Draw, build the interval, count."""
    random = np.random.default_rng(seed)
    passed = covered = refused = 0
    for _ in range(replications):
        interval = interval_of(cell.source(random))
        if interval is None:
            refused += 1
            continue
        passed += interval.low > cell.threshold
        covered += interval.low <= cell.truth <= interval.high
    return Measured(passed, covered, refused, replications)


def interval_of(draw: Draw) -> Interval | None:
    """The judge's own choice; Tango's is remembered by its counts, as it depends on no more."""
    whole = bool(np.isin(draw.tuned, (0, 1)).all() and np.isin(draw.base, (0, 1)).all())
    if whole and not is_clustered(draw.groups):
        change = draw.tuned - draw.base
        return remembered_tango(int((change > 0).sum()), int((change < 0).sum()), len(change))
    return paired_difference(
        draw.tuned.tolist(), draw.base.tolist(), draw.groups, CONFIDENCE, resamples=RESAMPLES
    )


@cache
def remembered_tango(wins: int, losses: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Tango's interval of these counts."""
    return tango(wins, losses, n, confidence)


def print_errors(replications: int, seed: int) -> bool:
    """The table of errors and coverage; True if every cell keeps its word."""
    print(
        f"One-sided error at the threshold and coverage, {100 * CONFIDENCE:g} % intervals, "
        f"{replications} replications (graded: half). Refused: fewer than 20 groups.\n\n"
        "| world | n | threshold | error | upper bound | coverage | refused |\n"
        "|---|---|---|---|---|---|---|"
    )
    kept = True
    for number, cell in enumerate(cells()):
        count = replications // 2 if cell.name.startswith("graded") else replications
        found = simulate(cell, count, seed + number)
        decided = count - found.refused
        coverage = found.covered / decided if decided else float("nan")
        fine = found.error_bound <= MAX_ERROR and not coverage < MIN_COVERAGE
        kept = kept and fine
        print(
            f"| {cell.name} | {cell.n} | {cell.threshold:g} | {found.passed / count:.3f} | "
            f"{found.error_bound:.3f} | {coverage:.3f} | {found.refused} |{'' if fine else ' !'}",
            flush=True,
        )
    return kept


@dataclass(frozen=True)
class Plan:
    """A gate to be planned: how many arms, how often answers differ, the true gain."""

    arms: int
    discordant: float
    gain: float

    def items(self) -> int:
        """What planning asks for."""
        spread = Spread(self.discordant, 1.0)
        return items_needed(spread, self.gain, 0.0, CONFIDENCE, gates=self.arms) or 0


def print_power(replications: int, seed: int) -> bool:
    """Power of a whole gate with as many items as planning asks for."""
    print(
        "\nPower of the whole gate with the planned number of test items, equal gain over all "
        "arms.\n\n| arms | discordant | gain | items | power |\n|---|---|---|---|---|"
    )
    kept = True
    random = np.random.default_rng(seed)
    for arms, discordant, gain in product((1, 3), (0.1, 0.2, 0.4), (0.05, 0.1)):
        plan = Plan(arms, discordant, gain)
        power = gate_power(random, plan, replications)
        kept = kept and power >= MIN_POWER - SLACK
        print(f"| {arms} | {discordant} | {gain} | {plan.items()} | {power:.3f} |", flush=True)
    return kept


def gate_power(random: np.random.Generator, plan: Plan, replications: int) -> float:
    """How often all gates are passed; independent ones, which is the worst case."""
    items, wins = plan.items(), (plan.discordant + plan.gain) / 2
    shares = [wins, plan.discordant - wins, 1 - plan.discordant]
    counts = random.multinomial(items, shares, (replications, plan.arms))
    passed = [
        all(remembered_tango(int(won), int(lost), items).low > 0 for won, lost, _ in gates)
        for gates in counts
    ]
    return float(np.mean(passed))


def main() -> int:
    """Print both tables; exit 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=17)
    arguments = parser.parse_args()
    started = time.monotonic()
    kept = print_errors(arguments.replications, arguments.seed)
    kept = print_power(arguments.replications, arguments.seed) and kept
    print(f"\n{time.monotonic() - started:.0f} s. Promises {'kept' if kept else 'BROKEN'}.")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
