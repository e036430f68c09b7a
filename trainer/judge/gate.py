"""The one rule: a lower limit above a threshold, for each arm; and what follows before training.

Owns thresholds, ``can_decide`` (prepare asks it), ``not_needed`` (train asks it) and the gates
of a judgement. Precedence among outcomes is ``verdict``'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainer.contract.spec import Arm, Evaluation, Require
from trainer.contract.verdict import Comparison
from trainer.judge import alpha
from trainer.judge.intervals import (
    MIN_UNITS,
    is_binary,
    is_clustered,
    mean_score,
    paired_difference,
)
from trainer.judge.planning import Spread, spread
from trainer.judge.proportions import Interval, mcnemar, normal_quantile, tango

FREE_ARMS = frozenset({"MajorityLabel", "NearestRow"})
"""Arms without a model: never a gate unless listed."""


@dataclass(frozen=True)
class Scores:
    """Scores of some arm on test items, in the order of the items."""

    arm: str
    values: Sequence[float]


@dataclass(frozen=True)
class Gate:
    """One arm that the tuned model has to pass."""

    arm: str
    require: Require
    threshold: float


@dataclass(frozen=True)
class GateResult:
    """How the tuned model fared at one gate; no interval: too few groups for one."""

    gate: Gate
    delta: float
    interval: Interval | None
    wins: int
    losses: int
    p_value: float | None
    spread: Spread

    @property
    def passed(self) -> bool:
        """The one rule."""
        return self.interval is not None and self.interval.low > self.gate.threshold

    @property
    def failed_for_sure(self) -> bool:
        """No better than the threshold, or plainly worse where better is asked for."""
        if self.interval is None:
            return False
        worse = self.gate.require == "Better" and self.interval.high < 0
        return worse or self.interval.high <= self.gate.threshold

    def comparison(self) -> Comparison:
        """As it is written; without an interval its limits are all there can be."""
        interval = self.interval or Interval(self.delta, -1.0, 1.0, "none: too few groups")
        return Comparison(
            arm=self.gate.arm,
            require=self.gate.require,
            threshold=self.gate.threshold,
            delta=self.delta,
            ci_low=interval.low,
            ci_high=interval.high,
            method=interval.method,
            passed=self.passed,
            p_value=self.p_value,
            wins=self.wins,
            losses=self.losses,
        )


@dataclass(frozen=True)
class NotNeeded:
    """A base arm is good enough as it is."""

    arm: str
    score: float
    low: float
    bar: float
    reason: str


def threshold(arm: Arm, evaluation: Evaluation) -> float:
    """What the lower limit has to exceed: ``minDelta``, or minus the margin."""
    return -float(arm.margin) if arm.require == "NotWorse" else float(evaluation.min_delta)


def gates_of(evaluation: Evaluation) -> list[Gate]:
    """Every listed arm is a gate."""
    return [Gate(arm.name, arm.require, threshold(arm, evaluation)) for arm in evaluation.arms]


def pass_gate(
    gate: Gate,
    tuned: Sequence[float],
    base: Sequence[float],
    groups: Sequence[str],
    confidence: float,
) -> GateResult:
    """Hold the tuned scores against one arm's, item by item."""
    wins = sum(a > b for a, b in zip(tuned, base, strict=True))
    losses = sum(a < b for a, b in zip(tuned, base, strict=True))
    independent = is_binary(tuned) and is_binary(base) and not is_clustered(groups)
    return GateResult(
        gate=gate,
        delta=(sum(tuned) - sum(base)) / len(tuned),
        interval=paired_difference(tuned, base, groups, confidence),
        wins=wins,
        losses=losses,
        p_value=mcnemar(wins, losses) if independent else None,
        spread=spread(tuned, base, groups),
    )


def groups_needed(evaluation: Evaluation, *, binary: bool, clustered: bool = False) -> int:
    """The smallest test split whose best outcome (all right against all wrong) passes each gate.

    With all ``n`` pairs won Tango's lower limit is ``(n - z^2) / (n + z^2)``. Clusters and graded
    scores have no interval at all below ``MIN_UNITS``.
    """
    highest = max(gate.threshold for gate in gates_of(evaluation))
    level = alpha.confidence(evaluation)
    z_squared = normal_quantile((1 + level) / 2) ** 2
    least = max(1, int(z_squared * (1 + highest) / (1 - highest)))
    while tango(least, 0, least, level).low <= highest:
        least += 1
    return least if binary and not clustered else max(least, MIN_UNITS)


def can_decide(
    test_groups: int, evaluation: Evaluation, *, binary: bool, clustered: bool = False
) -> str | None:
    """None if some outcome on so many test groups could promote; else what to tell the user."""
    highest = max(gate.threshold for gate in gates_of(evaluation))
    if highest >= 1:
        return (
            f"evaluation.minDelta: {evaluation.min_delta} can not be exceeded, scores are 0 to 1; "
            "ask for less"
        )
    needed = groups_needed(evaluation, binary=binary, clustered=clustered)
    if test_groups >= needed:
        return None
    return (
        f"the test split has {_counted(test_groups, 'group')}; with fewer than {needed} no outcome "
        f"could pass the gate at {evaluation.confidence_percent} % confidence (minDelta "
        f"{evaluation.min_delta}): add rows, or raise dataset.split.testPercent"
    )


def not_needed(
    scores_by_arm: Mapping[str, Sequence[float]], groups: Sequence[str], evaluation: Evaluation
) -> NotNeeded | None:
    """The best base arm, if it is surely good enough: training can not be worth its while.

    Good enough is ``targetScore``, or so near 1 that even perfect answers would gain less than
    ``smallestEffect`` (no room left). Surely: the lower limit of the arm's two-sided interval,
    Bonferroni over the arms asked. Only listed arms count, so a free arm does if it is a gate.
    Looks cost nothing here: base answers do not depend on what was trained.
    """
    listed = [arm.name for arm in evaluation.arms if arm.name in scores_by_arm]
    if not listed or not groups:
        return None
    level = 1 - (1 - evaluation.confidence_percent / 100) / len(listed)
    found = {name: mean_score(scores_by_arm[name], groups, level) for name in listed}
    best = max(listed, key=lambda name: found[name].low)
    return _good_enough(best, found[best], evaluation)


def _good_enough(arm: str, score: Interval, evaluation: Evaluation) -> NotNeeded | None:
    full = 1 - float(evaluation.smallest_effect)
    target = None if evaluation.target_score is None else float(evaluation.target_score)
    if target is not None and score.low >= target:
        why = f"that is the targetScore of {percent(target)} or more"
        bar = target
    elif score.low >= full:
        why = (
            "even perfect answers would gain less than the smallestEffect of "
            f"{points(float(evaluation.smallest_effect))} points"
        )
        bar = full
    else:
        return None
    reason = (
        f"{arm} without any tuning scores {percent(score.estimate)}, surely at least "
        f"{percent(score.low)}: {why}."
    )
    return NotNeeded(arm, score.estimate, score.low, bar, reason)


def percent(score: float) -> str:
    """A score for people, as in ``87.5 %``."""
    return f"{100 * score:.1f} %"


def points(difference: float) -> str:
    """A difference of scores in percentage points, without a needless ``.0``."""
    return f"{100 * difference:.1f}".removesuffix(".0")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
