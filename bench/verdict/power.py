"""How often the whole gate is passed at the effect that the judge states, or plans for.

Stated: a run without a true gain is drawn, the judge states its minimum detectable effect from it,
and a new run is drawn in which that is the true gain. The share of such runs that pass all gates is
the power that users are told of, with the doubt about the spread in it. Planned: the items that
the judge asks for are drawn at the gain that it was asked about.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from bench.verdict import worlds
from bench.verdict.errors import chunks
from bench.verdict.table import Line, Promise, lower, upper
from trainer.judge.intervals import paired_differences
from trainer.judge.means import Values
from trainer.judge.planning import Aim, Spread, detectable, items_needed, spread
from trainer.judge.proportions import is_above

SIZES = (30, 100, 300, 1000)
STATEMENTS = 300
"""Runs that a judge of means is asked to state an effect for; each is then drawn many times."""


@dataclass(frozen=True)
class Gate:
    """As many gates as there are arms, and what each asks for."""

    arms: int
    threshold: float
    confidence: float

    @property
    def name(self) -> str:
        """As it is told."""
        asked = f"Better by {self.threshold:g}" if self.threshold > 0 else "Better"
        asked = f"NotWorse by {-self.threshold:g}" if self.threshold < 0 else asked
        return f"{self.arms} arm{'s' if self.arms > 1 else ''}, {asked}"

    def states(self, found: Spread, items: int) -> float | None:
        """The minimum detectable effect of the whole gate."""
        return detectable(found, items, self.threshold, self.confidence, gates=self.arms)


def planned(confidence: float) -> Iterator[Line]:
    """Exact: what the judge asks for, at gains that are worth having."""
    for arms, threshold, share, gain in product(
        (1, 3), (0.0, 0.02, -0.05), (0.1, 0.2, 0.4), (0.05, 0.1)
    ):
        gate = Gate(arms, threshold, confidence)
        items = items_needed(Spread(share), gain, threshold, confidence, gates=arms) or 0
        power = 1 - arms * (1 - Aim(Spread(share), threshold, confidence).power(gain, items))
        yield Line(
            part="planned",
            world=f"0/1, {share} differ, {gate.name}, gain {gain}",
            n=items,
            threshold=threshold,
            power=power,
            kept=power >= Promise.POWER,
            note="exact; at least, however the arms are correlated" if arms > 1 else "exact",
        )


def stated(draws: int, confidence: float, seed: int) -> Iterator[Line]:
    """0/1 scores of independent items, with what is known from one run of them."""
    for at, (n, share, arms, threshold) in enumerate(
        product(SIZES, (0.05, 0.1, 0.2, 0.4), (1, 3), (0.0, -0.05))
    ):
        gate = Gate(arms, threshold, confidence)
        yield _stated(np.random.default_rng([seed, at]), gate, n, share, draws)


def _stated(random: np.random.Generator, gate: Gate, n: int, share: float, draws: int) -> Line:
    seen = random.multinomial(n, [share / 2, share / 2, 1 - share], draws)
    counts, place = np.unique(seen[:, 0] + seen[:, 1], return_inverse=True)
    effects = np.asarray([_effect(gate, n, int(count)) for count in counts])[place]
    told = effects[~np.isnan(effects)]
    passed = np.ones(len(told), dtype=bool)
    differing = np.maximum(share, abs(told))
    for _ in range(gate.arms):  # independent arms: the hardest to pass together
        rates = np.stack([differing + told, differing - told, 2 - 2 * differing], axis=1) / 2
        passed &= _pass(random.multinomial(n, rates.clip(0)), n, gate)
    return _line(
        f"0/1, {share} differ, {gate.name}", n, gate=gate, told=told, passed=passed, draws=draws
    )


def _effect(gate: Gate, n: int, differing: int) -> float:
    """What is stated where so many items differ, whoever wins them; nothing is no number."""
    tuned = [1.0] * differing + [0.0] * (n - differing)
    effect = gate.states(spread(tuned, [0.0] * n, worlds.alone(n)), n)
    return float("nan") if effect is None else effect


def _pass(outcomes: Values, n: int, gate: Gate) -> Values:
    tables, place = np.unique(outcomes[:, :2], axis=0, return_inverse=True)
    found = [
        is_above(int(won), int(lost), n, gate.threshold, gate.confidence) for won, lost in tables
    ]
    return np.asarray(found)[place]


Shifted = Callable[[float], worlds.World]


def stated_of_means(draws: int, confidence: float, seed: int) -> Iterator[Line]:
    """Groups and graded scores: an effect is stated ``STATEMENTS`` times, and drawn for each."""
    for at, (n, kind) in enumerate(product((100, 300), KINDS)):
        for arms, threshold in ((1, 0.0), (3, 0.0), (1, -0.05)):
            gate, random = Gate(arms, threshold, confidence), np.random.default_rng([seed, at])
            yield stated_of_kind(random, gate, KINDS[kind], n, draws)


def _shifted(
    differences: worlds.Differences, scale: float = 1.0
) -> Callable[[int, float], worlds.World]:
    """Graded differences moved by the gain."""

    def at(n: int, gain: float) -> worlds.World:
        def moved(random: np.random.Generator, shape: tuple[int, int]) -> Values:
            return gain + scale * differences(random, shape)

        moved.__name__ = differences.__name__
        return worlds.graded(n, moved, gain)

    return at


KINDS: dict[str, Callable[[int, float], worlds.World]] = {
    "symmetric": _shifted(worlds.symmetric, 0.6),
    "skewed down": _shifted(worlds.skewed_down),
    "skewed up": _shifted(worlds.skewed_up),
    "groups": lambda n, gain: worlds.graded_groups(worlds.clusters(n, 3, uneven=False), gain),
    "0/1 groups": lambda n, gain: worlds.grouped(
        worlds.clusters(n, 3, uneven=False), 0.4, 0.4, gain
    ),
}


def stated_of_kind(
    random: np.random.Generator,
    gate: Gate,
    kind: Callable[[int, float], worlds.World],
    n: int,
    draws: int,
) -> Line:
    """One kind of world: state effects without a gain, then draw each as the true one."""
    null = kind(n, 0.0)
    seen = zip(*null.draw(random, STATEMENTS), strict=True)
    spreads = [spread(tuned.tolist(), base.tolist(), null.groups) for tuned, base in seen]
    effects = [effect for found in spreads if (effect := gate.states(found, n)) is not None]
    each = draws // STATEMENTS
    passed = [_passes(random, kind(n, effect), gate, each) for effect in effects]
    told = np.repeat(effects, each)
    name = f"{null.name}, {gate.name}"
    every = np.concatenate(passed)
    return _line(name, n, gate=gate, told=told, passed=every, draws=each * STATEMENTS)


def _passes(random: np.random.Generator, world: worlds.World, gate: Gate, draws: int) -> Values:
    passed = np.ones(draws, dtype=bool)
    for _ in range(gate.arms):
        found = [
            _low(random, world, gate, count) > gate.threshold for count in chunks(draws, world.n)
        ]
        passed &= np.concatenate(found)
    return passed


def _low(random: np.random.Generator, world: worlds.World, gate: Gate, count: int) -> Values:
    tuned, base = world.draw(random, count)
    found = paired_differences(tuned, base, world.groups, gate.confidence, resamples=999)
    assert found is not None  # noqa: S101 - there are groups enough
    return found.low


def _line(world: str, n: int, *, gate: Gate, told: Values, passed: Values, draws: int) -> Line:
    count = int(passed.sum())
    return Line(
        part="stated",
        world=world,
        n=n,
        threshold=gate.threshold,
        draws=draws,
        power=count / len(told) if len(told) else None,
        refused=draws - len(told),
        kept=not len(told) or upper(count, len(told)) >= Promise.POWER,
        note=f"stated {told.mean():.3f}; power at least {lower(count, len(told)):.3f}"
        if len(told)
        else "no effect is stated",
    )
