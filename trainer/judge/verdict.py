"""From evidence to a verdict: the order in which reasons count, and the reason in one sentence.

Guard fails -> Reject; NotNeeded, if told to stop for it; Promote; Reject; Inconclusive.
Pure; intervals and gates are ``intervals`` and ``gate``, words are ``wording``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from trainer.contract.verdict import Guard, Verdict
from trainer.judge import planning, wording
from trainer.judge.evidence import Evidence
from trainer.judge.gate import GateResult, NotNeeded, points
from trainer.judge.intervals import MIN_UNITS


@dataclass(frozen=True)
class Findings:
    """What was computed from the evidence, before anybody decides."""

    gates: Sequence[GateResult]
    guards: Sequence[Guard]
    not_needed: NotNeeded | None


@dataclass(frozen=True)
class Decision:
    """The verdict with its reason, and what else the reader should know."""

    verdict: Verdict
    reason: str
    notes: list[str] = field(default_factory=list)


def decide(evidence: Evidence, findings: Findings) -> Decision:
    """Apply the precedence."""
    stop = evidence.evaluation.when_not_needed == "Stop"
    notes = [] if findings.not_needed is None or stop else [findings.not_needed.reason]
    failed = [guard for guard in findings.guards if not guard.passed]
    if failed:
        reason = "A guard failed: " + "; ".join(guard.message for guard in failed) + "."
        return Decision(Verdict.REJECT, reason, notes)
    if findings.not_needed is not None and stop:
        return Decision(Verdict.NOT_NEEDED, findings.not_needed.reason)
    if evidence.tuned is None:
        return Decision(Verdict.INCONCLUSIVE, NEVER_TRAINED, notes)
    return _by_gates(evidence, findings, notes)


NEVER_TRAINED = (
    "This run stopped before training because a base arm was good enough then, which by the "
    "present thresholds it is not; set the annotation tunekeeper.dev/rerun to train."
)


def hardest(gates: Sequence[GateResult]) -> GateResult:
    """The gate that is missed by most, or passed by least."""
    return min(gates, key=_headroom)


def _headroom(result: GateResult) -> float:
    low = -1.0 if result.interval is None else result.interval.low
    return low - result.gate.threshold


def _by_gates(evidence: Evidence, findings: Findings, notes: list[str]) -> Decision:
    gates = findings.gates
    if all(gate.passed for gate in gates):
        gate = hardest(gates)
        return Decision(
            Verdict.PROMOTE, f"{_clause(evidence, gate)}, above {wording.bar(gate)}.", notes
        )
    hopeless = [gate for gate in gates if gate.failed_for_sure]
    if hopeless:
        gate = hardest(hopeless)
        return Decision(Verdict.REJECT, f"{_clause(evidence, gate)}; {_shortfall(gate)}.", notes)
    gate = hardest(gates)
    reason = f"{_clause(evidence, gate)}; {_undecided(gate)}. {advice(evidence, gates)}"
    return Decision(Verdict.INCONCLUSIVE, reason, notes)


def _clause(evidence: Evidence, result: GateResult) -> str:
    rival = evidence.rival
    if rival is not None and result.gate == rival.gate:
        tuned, base = rival.tuned, rival.scores
    else:
        assert evidence.tuned is not None  # noqa: S101 - decide has seen to it
        tuned, base = evidence.tuned.scores, evidence.answers[result.gate.arm].scores
    best = evidence.best_base()
    return wording.against(result, tuned, base, evidence.confidence, best=best)


def _shortfall(result: GateResult) -> str:
    assert result.interval is not None  # noqa: S101 - without one nothing is sure
    if result.gate.require == "NotWorse":
        return f"it is worse by more than the {points(-result.gate.threshold)} points allowed"
    if result.interval.high < 0:
        return "it is worse"
    return f"the gain is surely not more than {wording.bar(result)}"


def _undecided(result: GateResult) -> str:
    if result.interval is None:
        return f"the test items form fewer than {MIN_UNITS} groups, too few to decide anything"
    return f"that does not tell whether it is above {wording.bar(result)}"


def advice(evidence: Evidence, gates: Sequence[GateResult]) -> str:
    """How many rows would decide, or that more are unlikely to help."""
    effect = float(evidence.evaluation.smallest_effect)
    worth = f"a gain of {points(effect)} points"
    if any(gate.interval is not None and gate.interval.high < effect for gate in gates):
        return f"More rows are unlikely to help: {worth} (smallestEffect) is surely not there."
    needed = items_needed(evidence, gates)
    if needed is None:
        return "No number of rows can decide: raise smallestEffect above minDelta."
    if needed <= len(evidence.items) and all(gate.interval is not None for gate in gates):
        return (
            f"More rows are unlikely to help: so many would have shown {worth} (smallestEffect) "
            "four times out of five."
        )
    return f"About {needed} test rows{_in_all(evidence, needed)} would decide for {worth}."


def items_needed(evidence: Evidence, gates: Sequence[GateResult]) -> int | None:
    """Test rows with which all gates have 80 % power at ``smallestEffect``."""
    effect = float(evidence.evaluation.smallest_effect)
    counts = []
    for result in gates:
        count = planning.items_needed(
            result.spread, effect, result.gate.threshold, evidence.confidence, gates=len(gates)
        )
        if count is None:
            return None
        counts.append(max(count, _least(evidence, result)))
    return max(counts)


def _least(evidence: Evidence, result: GateResult) -> int:
    """Without an interval the groups are too few: rows for as many as it takes."""
    if result.interval is not None:
        return 0
    per_group = len(evidence.items) / len(set(evidence.groups))
    return math.ceil(MIN_UNITS * per_group)


def _in_all(evidence: Evidence, needed: int) -> str:
    if not evidence.test_is_split_off:
        return ""
    total = math.ceil(needed * evidence.rows / len(evidence.items))
    return f" ({total} rows in all)"


def minimum_detectable_effect(evidence: Evidence, gates: Sequence[GateResult]) -> float | None:
    """The smallest true gain over every arm that the whole gate shows with 80 % power."""
    effects = []
    for result in gates:
        effect = planning.detectable(
            result.spread,
            len(evidence.items),
            result.gate.threshold,
            evidence.confidence,
            gates=len(gates),
        )
        if effect is None or result.interval is None:
            return None
        effects.append(effect)
    return max(effects, default=None)
