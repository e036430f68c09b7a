"""Many candidates on one test split, none truly better: how often any of them is promoted.

Look k is judged at the level that the judge gives it. And whole gates: three arms, and guards.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from bench.verdict import worlds
from bench.verdict.errors import chunks
from bench.verdict.table import Line, Promise, upper
from trainer.contract.spec import Evaluation
from trainer.judge import guards
from trainer.judge.alpha import confidence
from trainer.judge.intervals import paired_differences
from trainer.judge.means import Values

LOOKS = 10
ENFORCED = Evaluation.model_validate({"looks": "Enforce"})
ARMS = 3


@dataclass(frozen=True)
class Kind:
    """Of scores: how luck, uniform in 0 to 1, becomes one at a rate of success."""

    name: str
    size: int
    """Items of a group."""
    score: Callable[[Values, float], Values]

    def groups(self, n: int) -> list[str]:
        """Of n items."""
        return worlds.clusters(n, self.size, uneven=False)

    def scores(self, random: np.random.Generator, luck: Values, rate: float) -> Values:
        """A model's: half of the items have their luck, which models share, the rest a group's."""
        count, n = luck.shape
        of_groups = random.random((count, -(-n // self.size)))
        own = np.repeat(of_groups, self.size, axis=1)[:, :n]
        return self.score(np.where(random.random(luck.shape) < 0.5, luck, own), rate)  # noqa: PLR2004 - half


KINDS = (
    Kind("0/1", 1, lambda luck, rate: (luck < rate).astype(float)),
    Kind("0/1, groups of 3", 3, lambda luck, rate: (luck < rate).astype(float)),
    Kind("graded", 1, lambda luck, rate: (luck + rate) / 2),
)


def repeated(sizes: tuple[int, ...], draws: int, seed: int) -> Iterator[Line]:
    """Every kind of scores; candidates that are alike and candidates that are not."""
    for (at, n), alike, kind in product(enumerate(sizes), (0.0, 0.8), KINDS):
        random = np.random.default_rng([seed, at, int(10 * alike)])
        yield _repeated(kind, n, alike, draws, random)


def _repeated(kind: Kind, n: int, alike: float, draws: int, random: np.random.Generator) -> Line:
    """Each candidate repeats the first one's answer to an item, or answers as if it were new."""
    promoted = refused = 0
    for count in chunks(draws, n):
        base, first = (_answers(kind, random, count, n) for _ in range(2))
        any_passed = np.zeros(count, dtype=bool)
        for look in range(1, LOOKS + 1):
            own = _answers(kind, random, count, n)
            tuned = np.where(random.random((count, n)) < alike, first, own)
            found = paired_differences(tuned, base, kind.groups(n), confidence(ENFORCED, look))
            any_passed |= found is not None and found.low > 0
        promoted += int(any_passed.sum())
        refused += 0 if found else count
    name = f"{kind.name}, {LOOKS} looks, candidates {100 * alike:.0f} % alike"
    return _line("looks", name, n, draws, promoted, refused)


def _answers(kind: Kind, random: np.random.Generator, count: int, n: int) -> Values:
    """Of a model that shares no luck with another."""
    return kind.scores(random, random.random((count, n)), 0.5)


def gates(sizes: tuple[int, ...], draws: int, seed: int) -> Iterator[Line]:
    """Three arms, of which one, two or all are as good as the tuned model."""
    for (at, n), equal, kind in product(enumerate(sizes), (1, 2, 3), KINDS):
        yield _three_arms(kind, n, equal, draws, np.random.default_rng([seed, at, equal]))


def _three_arms(kind: Kind, n: int, equal: int, draws: int, random: np.random.Generator) -> Line:
    """Arms that are no equals have a rate of 10 % and not 50 %; all share half of their luck."""
    promoted = refused = 0
    for count in chunks(draws, n):
        luck = random.random((count, n))
        tuned = kind.scores(random, luck, 0.5)
        passed = np.ones(count, dtype=bool)
        for arm in range(ARMS):
            base = kind.scores(random, luck, 0.5 if arm < equal else 0.1)
            found = paired_differences(tuned, base, kind.groups(n), confidence(ENFORCED))
            passed &= found is not None and found.low > 0
        promoted += int(passed.sum())
        refused += 0 if found else count
    name = f"{kind.name}, {ARMS} arms, {equal} of them as good"
    return _line("gates", name, n, draws, promoted, refused)


def _line(part: str, world: str, n: int, draws: int, promoted: int, refused: int) -> Line:  # noqa: PLR0917 - a cell has so many
    bound = upper(promoted, draws)
    return Line(
        part=part,
        world=world,
        n=n,
        draws=draws,
        error=promoted / draws,
        bound=bound,
        refused=refused,
        kept=Promise.error(bound),
    )


def guarded(sizes: tuple[int, ...], draws: int, seed: int) -> Iterator[Line]:
    """Guards are margins on estimates: how often they refuse, told and not promised."""
    for at, n in enumerate(sizes):
        for ours, theirs in ((0.0, 0.02), (0.01, 0.01), (0.05, 0.01), (0.10, 0.01)):
            random = np.random.default_rng([seed, at, int(100 * ours)])
            counts = random.binomial(n, (ours, theirs), (draws, 2))
            refused = sum(_refuses(n, *pair) * many for pair, many in _unique(counts))
            yield Line(
                part="guards",
                world=f"invalid answers: truly {100 * ours:g} % tuned, {100 * theirs:g} % base",
                n=n,
                kept=True,
                draws=draws,
                refused=refused,
                note=f"refused {100 * refused / draws:.1f} %",
            )


def _unique(counts: Values) -> Iterator[tuple[tuple[int, int], int]]:
    pairs, many = np.unique(counts, axis=0, return_counts=True)
    yield from (((int(a), int(b)), int(c)) for (a, b), c in zip(pairs, many, strict=True))


def _refuses(n: int, ours: int, theirs: int) -> bool:
    tuned, base = ([""] * empty + ["yes"] * (n - empty) for empty in (ours, theirs))
    return not guards.unusable_answers(tuned, base, metric="ExactMatch").passed
