"""Guards: fixed margins on estimates that a better score does not buy off."""

import json
from collections.abc import Collection, Sequence

import numpy as np

from trainer.arms.metrics import FENCE
from trainer.contract.spec import Evaluation
from trainer.contract.verdict import ForgettingResult, Guard
from trainer.judge.means import student
from trainer.judge.proportions import Interval
from trainer.store.manifest import ForgettingLosses

MAX_MORE_INVALID = 0.02
"""Share of answers that may be invalid or empty beyond the base arm's."""
MAX_LENGTH_RATIO = 1.5
"""Length of the tuned answers over the length of the references, in characters."""


def unusable_answers(
    tuned: Sequence[str], base: Sequence[str], *, metric: str, labels: Collection[str] = ()
) -> Guard:
    """More invalid or empty answers than the best base arm gives, without model: than none.

    Invalid: not JSON where the metric is JsonMatch, no label where the answers are a closed set.
    """
    valid = {_plain(label) for label in labels}
    ours = _unusable_share(tuned, metric, valid)
    theirs = _unusable_share(base, metric, valid)
    more = ours - theirs
    return Guard(
        name="invalid answers",
        value=more,
        limit=MAX_MORE_INVALID,
        passed=more <= MAX_MORE_INVALID,
        message=(
            f"{100 * ours:.1f} % of the tuned answers are empty or invalid, {100 * theirs:.1f} % "
            f"of the base arm's; {100 * MAX_MORE_INVALID:.0f} points more are allowed"
        ),
    )


def answer_length(tuned: Sequence[str], references: Sequence[str]) -> Guard:
    """Tuned answers that ramble on against the references."""
    ratio = sum(map(len, tuned)) / max(1, sum(map(len, references)))
    return Guard(
        name="answer length",
        value=ratio,
        limit=MAX_LENGTH_RATIO,
        passed=ratio <= MAX_LENGTH_RATIO,
        message=(
            f"the tuned answers are {ratio:.2f} times as long as the references; "
            f"{MAX_LENGTH_RATIO} times is allowed"
        ),
    )


def forgetting(losses: ForgettingLosses, evaluation: Evaluation) -> ForgettingResult:
    """Rise of the loss on general text, from chunks read with the adapter on and off.

    Fails if the lower limit of the rise is above ``maxIncrease``: surely too much was forgotten.
    """
    rise = np.subtract(losses.tuned, losses.base)
    limit = float(evaluation.forgetting.max_increase)
    found = Interval(float(rise.mean()), float(rise.min()), float(rise.max()), "one chunk")
    if len(rise) > 1:
        limits = student(rise[None], evaluation.confidence_percent / 100)
        found = Interval(found.estimate, float(limits.low[0]), float(limits.high[0]), "t")
    return ForgettingResult(
        base_nats=float(np.mean(losses.base)),
        increase=found.estimate,
        ci_low=found.low,
        ci_high=found.high,
        max_increase=limit,
        tokens=losses.tokens,
        passed=found.low <= limit,
    )


def forgetting_guard(result: ForgettingResult) -> Guard:
    """The same as a guard; its value is the limit that decides."""
    return Guard(
        name="forgetting",
        value=result.ci_low,
        limit=result.max_increase,
        passed=result.passed,
        message=(
            f"the loss on general text rose by {result.increase:.3f} nats per token, surely by "
            f"{result.ci_low:.3f}; maxIncrease allows {result.max_increase:g}"
        ),
    )


def _unusable_share(answers: Sequence[str], metric: str, labels: Collection[str]) -> float:
    unusable = sum(not _is_usable(answer, metric, labels) for answer in answers)
    return unusable / len(answers) if answers else 0.0


def _is_usable(answer: str, metric: str, labels: Collection[str]) -> bool:
    text = answer.strip()
    if not text:
        return False
    if metric == "JsonMatch":
        return _is_json(text)
    return not labels or _plain(text) in labels


def _is_json(text: str) -> bool:
    fenced = FENCE.match(text)  # the metric takes one fence off as well
    try:
        json.loads(fenced.group(1) if fenced else text)
    except (ValueError, RecursionError):
        return False
    return True


def _plain(text: str) -> str:
    return " ".join(text.split())
