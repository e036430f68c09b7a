"""Sentences for people who know their data and not our methods. Decides nothing."""

from collections.abc import Sequence

from trainer.judge.gate import GateResult, percent, points
from trainer.judge.intervals import is_binary

NAMES = {
    "NearestRow": "The answer of the most similar training row, no model at all,",
    "MajorityLabel": "The commonest answer of the training rows, no model at all,",
}


def score_of(scores: Sequence[float]) -> str:
    """A score as people count it: ``52 of 160 right``, or a mean where it is graded."""
    if is_binary(scores):
        return f"{sum(scores):.0f} of {len(scores)} right"
    return percent(sum(scores) / len(scores))


def against(
    result: GateResult,
    tuned: Sequence[float],
    base: Sequence[float],
    confidence: float,
    *,
    best: str,
) -> str:
    """Both scores, the difference and its interval: the clause all verdicts begin with."""
    arm = result.gate.arm
    other = f"the best base arm ({arm})" if arm == best else named(arm)
    if is_binary(tuned) and is_binary(base):
        scores = f"Tuned answers {score_of(tuned)} against {sum(base):.0f} for {other}"
    else:
        scores = f"Tuned scores {score_of(tuned)} against {score_of(base)} for {other}"
    return f"{scores}: {signed(result.delta)} points{interval(result, confidence)}"


def interval(result: GateResult, confidence: float) -> str:
    """The interval in points, after a comma; nothing where there is none."""
    found = result.interval
    if found is None:
        return ""
    limits = f"{100 * found.low:.1f} to {100 * found.high:.1f}"
    return f", {level(confidence)} interval {limits}"


def level(confidence: float) -> str:
    """``95 %`` or, after looks were paid for, ``96.96 %``."""
    return f"{100 * confidence:.2f}".rstrip("0").rstrip(".") + " %"


def signed(difference: float) -> str:
    """A difference in points that always has a sign."""
    return f"{100 * difference:+.1f}"


def named(arm: str) -> str:
    """An arm in the middle of a sentence."""
    return "the promoted adapter" if arm == "Promoted" else arm


def bar(result: GateResult) -> str:
    """What the lower limit had to exceed."""
    threshold = result.gate.threshold
    if result.gate.require == "NotWorse":
        return f"the allowed {points(threshold)}"
    return f"the required {points(threshold)}"


def shorten(text: str, limit: int) -> str:
    """Cut at a length that the wire allows."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
