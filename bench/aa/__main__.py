"""Does the pipeline promote adapters that are no better? Trained for real, verdicts counted.

A/A: answers are coin flips, so that base model and adapter, whatever it learnt, are right half of
the time on rows that they have not seen: exactly equal skill, and a promotion is false. Planted: a
share of the answers follows a rule that the adapter can take up. Each adapter has its own data,
split, training and store; all go through prepare, train and judge in this process.
Usage: python -m bench.aa [--null 60] [--planted 20] [--seed 17] [--json FILE]
"""

import argparse
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from scipy.stats import binomtest
from transformers.utils import logging as transformers_logging

from bench.aa import base
from bench.aa.pipeline import ROWS, Job
from trainer.contract.verdict import Judgement, Verdict

STRENGTH = 0.7
"""Share of the planted answers that follow the rule: up to 35 points above a coin."""
LESSONS = 1600
MAX_ERROR, MIN_POWER = 0.05, 0.80


def teach_base(folder: Path, seed: int) -> Path:
    """The base model that all share."""
    model = folder / "base"
    base.make(model)
    rows = base.lessons(LESSONS, np.random.default_rng(seed))
    base.teach(model, Job(folder / "lessons", model, seed).lessons(rows))
    return model


def judged(folder: Path, model: Path, strength: float, seed: Sequence[int]) -> Judgement:
    """One adapter's verdict; its own seed decides data and training."""
    random = np.random.default_rng(seed)
    rows = base.rows(ROWS, base.by_city, strength, random)
    name = "-".join(map(str, seed))
    return Job(folder / name, model, int(random.integers(2**31))).run(rows)


def experiment(null: int, planted: int, seed: int) -> dict[str, list[Judgement]]:
    """Both kinds of adapters."""
    kinds = [("A/A", 0.0, at) for at in range(null)]
    kinds += [("planted", STRENGTH, at) for at in range(planted)]
    kinds.sort(key=lambda one: one[2] / (null if one[0] == "A/A" else planted))
    found: dict[str, list[Judgement]] = {"A/A": [], "planted": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        model = teach_base(folder, seed)
        console = Console(stderr=True)
        for kind, strength, at in track(kinds, "adapters", console=console):
            one = judged(folder, model, strength, [seed, int(strength > 0), at])
            found[kind].append(one)
            console.print(f"{kind} {at}: {one.verdict.value}, {one.delta:+.3f}")
    return found


def summary(kind: str, judgements: Sequence[Judgement]) -> dict[str, object]:
    """What was counted, with exact bounds (95 %, one-sided)."""
    count = len(judgements)
    verdicts = Counter(one.verdict.value for one in judgements)
    bounds = binomtest(verdicts["Promote"], count).proportion_ci(0.9, method="exact")
    deltas = [one.delta or 0.0 for one in judgements]
    stated = [one.minimum_detectable_effect or 1.0 for one in judgements]
    differing = [(c.wins + c.losses) / one.arms[0].n for one in judgements for c in one.comparisons]
    return {
        "adapters": kind,
        "count": count,
        **{verdict.value: verdicts[verdict.value] for verdict in Verdict},
        "lowerBound": float(bounds.low),
        "upperBound": float(bounds.high),
        "meanGain": float(np.mean(deltas)),
        "standardError": float(np.std(deltas, ddof=1) / count**0.5) if count > 1 else 0.0,
        "meanStatedEffect": float(np.mean(stated)),
        "meanDiscordance": float(np.mean(differing)),
        "testItems": float(np.mean([one.arms[0].n for one in judgements])),
    }


HEAD = (
    "| adapters | count | test items | differ | mean gain | stated effect | Promote | Reject | "
    "Inconclusive | promoted, exact bounds |\n|---|---|---|---|---|---|---|---|---|---|"
)


def row(of: dict[str, object]) -> str:
    """One line of the table."""
    return (
        f"| {of['adapters']} | {of['count']} | {of['testItems']:.0f} | "
        f"{of['meanDiscordance']:.2f} | {of['meanGain']:+.3f} ± {of['standardError']:.3f} | "
        f"{of['meanStatedEffect']:.3f} | {of['Promote']} | {of['Reject']} | "
        f"{of['Inconclusive']} | {of['lowerBound']:.3f} to {of['upperBound']:.3f} |"
    )


def is_kept(null: dict[str, object], planted: dict[str, object]) -> bool:
    """Neither count is one that a true 5 % of error, or a true 80 % of power, makes unlikely."""
    errors = binomtest(int(str(null["Promote"])), int(str(null["count"])), MAX_ERROR, "greater")
    shown = binomtest(int(str(planted["Promote"])), int(str(planted["count"])), MIN_POWER, "less")
    return bool(errors.pvalue >= 0.05 and shown.pvalue >= 0.05)  # noqa: PLR2004 - 5 % either way


def main() -> int:
    """Run, print, and exit with 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="bench.aa", description=__doc__)
    parser.add_argument("--null", type=int, default=60, help="adapters of equal skill")
    parser.add_argument("--planted", type=int, default=20, help="adapters with an effect")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--json", type=Path, help="a file")
    told = parser.parse_args()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.disable(logging.WARNING)
    started_s = time.monotonic()
    found = experiment(told.null, told.planted, told.seed)
    null, planted = (summary(kind, judgements) for kind, judgements in found.items())
    kept = is_kept(null, planted)
    print(f"{HEAD}\n{row(null)}\n{row(planted)}\n")
    print(f"{time.monotonic() - started_s:.0f} s. Promises {'kept' if kept else 'BROKEN'}.")
    if told.json:
        told.json.write_text(json.dumps([null, planted], indent=1) + "\n")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
