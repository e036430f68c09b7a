"""Does the comparison with the promoted adapter keep its word? Planted adapters, verdicts counted.

Adapters that are better, equal and worse than the promoted one are planted many times on drawn
test splits, and the judge's own judgement is asked. Then whole chains of retrains are played, with
and without the anchor. Prints Markdown tables; exits with 1 when a promise is broken.
Usage: python bench/retrain.py [--replications N] [--seed S]
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from trainer.contract.spec import Evaluation
from trainer.contract.verdict import Verdict
from trainer.judge.alpha import confidence
from trainer.judge.evidence import Answers, Evidence, Item, Rival, promoted_gate
from trainer.judge.judgement import judge_evidence
from trainer.judge.promoted import MARGIN, next_anchor
from trainer.store.manifest import TUNED

Values = npt.NDArray[np.float64]
MAX_ERROR = 0.05
BASE, PROMOTED = 0.3, 0.75
"""True scores of the base model's arm and of the promoted adapter."""
CHURN = 0.08
"""Share of the items on which two equally good adapters differ, each way half of it."""
CHAIN = 10

EVALUATION = Evaluation.model_validate({"arms": [{"name": "ZeroShot"}], "looks": "Report"})


@dataclass(frozen=True)
class Cell:
    """One world: test items, what the new adapter truly gains, and what it is asked."""

    n: int
    gain: float
    require: str


CELLS = [
    *[Cell(n, gain, "NotWorse") for n in (150, 400, 1000) for gain in (0.05, 0.0, -0.05, -0.10)],
    *[Cell(n, gain, "Better") for n in (150, 400, 1000) for gain in (0.10, 0.05, 0.0, -0.05)],
]


def successor(old: Values, gain: float, rng: np.random.Generator) -> Values:
    """Scores of an adapter that is truly ``gain`` better than the one with these scores.

    Items go wrong at a rate that keeps the churn, and come right at the rate that makes the gain.
    """
    right = old.mean()
    lose = (CHURN / 2 + max(0.0, -gain)) / max(right, 1e-9)
    win = (CHURN / 2 + max(0.0, gain)) / max(1 - right, 1e-9)
    draw = rng.random(len(old))
    return np.where(old == 1, draw >= min(1.0, lose), draw < min(1.0, win)).astype(np.float64)


def planted(cell: Cell, rng: np.random.Generator) -> tuple[Values, Values]:
    """Scores of the promoted adapter and of the new one, from their true rates."""
    lose = CHURN / 2 + max(0.0, -cell.gain)
    win = CHURN / 2 + max(0.0, cell.gain)
    both, only_old, only_new, neither = range(4)
    rates = [PROMOTED - lose, lose, win, 1 - PROMOTED - win]
    kinds = rng.choice([both, only_old, only_new, neither], cell.n, p=rates)
    old, new = np.isin(kinds, [both, only_old]), np.isin(kinds, [both, only_new])
    return old.astype(np.float64), new.astype(np.float64)


def verdict(old: Values, new: Values, require: str, rng: np.random.Generator) -> Verdict:
    """The judge's own."""
    base = (rng.random(len(old)) < BASE).astype(np.float64)
    groups = [str(index) for index in range(len(old))]
    rival = Rival(
        run_id="old",
        gate=promoted_gate("NotWorse" if require == "NotWorse" else "Better", MARGIN, EVALUATION),
        tuned=list(new),
        scores=list(old),
        groups=groups,
    )
    evidence = Evidence(
        evaluation=EVALUATION,
        metric="ExactMatch",
        items=[Item(group, group, "", "yes") for group in groups],
        answers={"ZeroShot": answered(base), TUNED: answered(new)},
        look=1,
        confidence=confidence(EVALUATION),
        rows=10 * len(old),
        rival=rival,
    )
    return judge_evidence(evidence).verdict


def answered(scores: Values) -> Answers:
    """Answers that deserve these scores."""
    return Answers(["yes" if score == 1 else "noo" for score in scores], [float(s) for s in scores])


def is_error(cell: Cell) -> bool:
    """Whether a promotion in this cell breaks the promise."""
    return cell.gain <= (-MARGIN if cell.require == "NotWorse" else 0.0)


def bound(count: int, of: int) -> float:
    """Upper Monte Carlo bound of a rate, 95 % one-sided."""
    return float(binomtest(count, of).proportion_ci(0.9, method="exact").high)


def table(replications: int, seed: int) -> Iterator[tuple[str, bool]]:
    """One row per cell, and whether it keeps the promise."""
    for index, cell in enumerate(CELLS):
        rng = np.random.default_rng([seed, index])
        counts = Counter(
            verdict(*planted(cell, rng), cell.require, rng) for _ in range(replications)
        )
        high = bound(counts[Verdict.PROMOTE], replications)
        kept = high <= MAX_ERROR if is_error(cell) else True
        shares = [100 * counts[each] / replications for each in Verdict if each != "NotNeeded"]
        figures = " | ".join(f"{share:.1f}" for share in shares)
        told = f"{100 * high:.1f}" if is_error(cell) else ""
        yield f"| {cell.require} | {cell.n} | {100 * cell.gain:+.0f} | {figures} | {told} |", kept


def chain(gain: float, n: int, *, anchored: bool, rng: np.random.Generator) -> tuple[int, float]:
    """Ten retrains, each truly ``gain`` better than the one before: promoted, and points gained."""
    first = (rng.random(n) < PROMOTED).astype(np.float64)
    newest = in_use = anchor = first
    promoted = 0
    for _ in range(CHAIN):
        newest = successor(newest, gain, rng)
        bar = anchor if anchored else in_use
        if verdict(bar, newest, "NotWorse", rng) is not Verdict.PROMOTE:
            continue
        promoted, in_use = promoted + 1, newest
        rival = Rival("old", promoted_gate("NotWorse", MARGIN, EVALUATION), newest, bar, [])
        anchor = bar if next_anchor("new", rival) == "old" else newest
    return promoted, 100 * float(in_use.mean() - first.mean())


def chains(replications: int, seed: int) -> Iterator[str]:
    """One row per kind of chain."""
    for gain in (-0.02, -0.01, 0.0, 0.01):
        for anchored in (True, False):
            rng = np.random.default_rng([seed, 99])
            played = [chain(gain, 1000, anchored=anchored, rng=rng) for _ in range(replications)]
            promoted = np.mean([count for count, _ in played])
            points = [change for _, change in played]
            low = float(np.quantile(points, 0.05))
            yield (
                f"| {100 * gain:+.0f} | {'anchor' if anchored else 'last promoted'} | "
                f"{promoted:.1f} | {np.mean(points):+.1f} | {low:+.1f} |"
            )


def main(argv: Sequence[str]) -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--replications", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=17)
    given = parser.parse_args(argv)
    print("| asked | items | true gain, points | Promote % | Reject % | Inconclusive % | bound % |")
    print("|---|---|---|---|---|---|---|")
    broken = 0
    for row, kept in table(given.replications, given.seed):
        print(row, flush=True)
        broken += not kept
    print(f"\n| gain per retrain | held against | promoted of {CHAIN} | at the end | worst 5 % |")
    print("|---|---|---|---|---|")
    for row in chains(max(1, given.replications // 10), given.seed):
        print(row, flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
