"""Many candidates on one test split, none truly better: how often any of them is promoted.

Look k is judged at the level that the judge gives it. And whole gates: three arms, and guards.
"""

from collections.abc import Iterator

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


def repeated(sizes: tuple[int, ...], draws: int, seed: int) -> Iterator[Line]:
    """0/1 and graded scores; candidates that are alike and candidates that are not."""
    for at, n in enumerate(sizes):
        for alike in (0.0, 0.8):
            yield _repeated(n, alike, draws, np.random.default_rng([seed, at, int(10 * alike)]))


def _repeated(n: int, alike: float, draws: int, random: np.random.Generator) -> Line:
    """Each candidate repeats the first one's answer to an item, or is right by a coin."""
    promoted, groups = 0, worlds.alone(n)
    for count in chunks(draws, n):
        base, first = (random.integers(0, 2, (count, n)).astype(float) for _ in range(2))
        any_passed = np.zeros(count, dtype=bool)
        for look in range(1, LOOKS + 1):
            coins = random.integers(0, 2, (count, n)).astype(float)
            tuned = np.where(random.random((count, n)) < alike, first, coins)
            found = paired_differences(tuned, base, groups, confidence(ENFORCED, look))
            any_passed |= found is not None and found.low > 0
        promoted += int(any_passed.sum())
    bound = upper(promoted, draws)
    return Line(
        part="looks",
        world=f"0/1, half differ, {LOOKS} looks, candidates {100 * alike:.0f} % alike",
        n=n,
        draws=draws,
        error=promoted / draws,
        bound=bound,
        kept=Promise.error(bound),
    )


def gates(sizes: tuple[int, ...], draws: int, seed: int) -> Iterator[Line]:
    """Three arms, of which one, two or all are as good as the tuned model."""
    for at, n in enumerate(sizes):
        for equal in (1, 2, 3):
            yield _three_arms(n, equal, draws, np.random.default_rng([seed, at, equal]))


def _three_arms(n: int, equal: int, draws: int, random: np.random.Generator) -> Line:
    """Arms that are no equals are right in 10 % and not 50 %; all share half of their luck."""
    promoted, groups, level = 0, worlds.alone(n), confidence(ENFORCED)
    for count in chunks(draws, n):
        luck = random.random((count, n))
        tuned = _right(random, luck, 0.5)
        passed = np.ones(count, dtype=bool)
        for arm in range(ARMS):
            base = _right(random, luck, 0.5 if arm < equal else 0.1)
            found = paired_differences(tuned, base, groups, level)
            passed &= found is not None and found.low > 0
        promoted += int(passed.sum())
    bound = upper(promoted, draws)
    name = f"0/1, {ARMS} arms, {equal} of them as good"
    kept = Promise.error(bound)
    return Line("gates", name, n, kept, draws=draws, error=promoted / draws, bound=bound)


def _right(random: np.random.Generator, luck: Values, rate: float) -> Values:
    """Scores that share half of their luck with others."""
    own = np.where(random.random(luck.shape) < 0.5, luck, random.random(luck.shape))  # noqa: PLR2004 - half
    return (own < rate).astype(float)


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
