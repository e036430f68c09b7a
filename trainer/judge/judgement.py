"""One judgement, computed: arms, comparisons, guards, verdict. Pure."""

from collections.abc import Sequence

from trainer.contract.verdict import (
    ArmScore,
    ForgettingResult,
    Guard,
    Judgement,
    OverfittingResult,
    Verdict,
)
from trainer.judge import guards, wording
from trainer.judge.evidence import Answers, Evidence
from trainer.judge.gate import FREE_ARMS, GateResult, not_needed, pass_gate, points
from trainer.judge.intervals import mean_score, paired_difference
from trainer.judge.verdict import Findings, decide, hardest, minimum_detectable_effect

MAX_REASON = 600
MAX_NOTES = 8


def findings(evidence: Evidence) -> Findings:
    """Every gate, every guard, and whether tuning was needed."""
    return Findings(
        gates=_gates(evidence),
        guards=_guards(evidence),
        not_needed=not_needed(evidence.base_scores(), evidence.groups, evidence.evaluation),
    )


def judge_evidence(
    evidence: Evidence, *, overfitting: OverfittingResult | None = None
) -> Judgement:
    """The whole judgement."""
    found = findings(evidence)
    decision = decide(evidence, found)
    worst = hardest(found.gates).comparison() if found.gates else None
    return Judgement(
        metric=evidence.metric,
        arms=arm_scores(evidence),
        comparisons=[result.comparison() for result in found.gates],
        delta=worst.delta if worst else None,
        ci_low=worst.ci_low if worst else None,
        ci_high=worst.ci_high if worst else None,
        confidence_percent=round(100 * evidence.confidence, 4),
        minimum_detectable_effect=minimum_detectable_effect(evidence, found.gates),
        look=evidence.look,
        guards=list(found.guards),
        forgetting=_forgetting(evidence),
        overfitting=overfitting,
        verdict=decision.verdict,
        reason=wording.shorten(decision.reason, MAX_REASON),
        notes=[*decision.notes, *evidence.notes][:MAX_NOTES],
    )


def arm_scores(evidence: Evidence) -> list[ArmScore]:
    """Each arm with the interval of its mean."""
    gated = {gate.arm for gate in evidence.gates()}
    return [
        _arm_score(name, answers, evidence, gate=name in gated)
        for name, answers in evidence.answers.items()
    ]


def _arm_score(name: str, answers: Answers, evidence: Evidence, *, gate: bool) -> ArmScore:
    found = mean_score(answers.scores, evidence.groups, evidence.confidence)
    return ArmScore(
        name=name,
        score=found.estimate,
        ci_low=found.low,
        ci_high=found.high,
        n=len(answers.scores),
        gate=gate,
    )


def _gates(evidence: Evidence) -> list[GateResult]:
    tuned, rival = evidence.tuned, evidence.rival
    if tuned is None:
        return []
    level = evidence.confidence
    results = [
        pass_gate(gate, tuned.scores, evidence.answers[gate.arm].scores, evidence.groups, level)
        for gate in evidence.gates()
    ]
    if rival is not None:
        results.append(pass_gate(rival.gate, rival.tuned, rival.scores, rival.groups, level))
    return results


def _forgetting(evidence: Evidence) -> ForgettingResult | None:
    if evidence.forgetting is None:
        return None
    return guards.forgetting(evidence.forgetting, evidence.evaluation)


def _guards(evidence: Evidence) -> list[Guard]:
    tuned, forgotten = evidence.tuned, _forgetting(evidence)
    if tuned is None:
        return []
    references = [item.reference for item in evidence.items]
    base = evidence.best_base()
    modelled = [] if base in FREE_ARMS else evidence.answers[base].texts
    labels = {*evidence.labels, *references} if evidence.labels else set()
    checks = [
        guards.unusable_answers(tuned.texts, modelled, metric=evidence.metric, labels=labels),
        guards.answer_length(tuned.texts, references),
    ]
    return checks if forgotten is None else [*checks, guards.forgetting_guard(forgotten)]


def first_line(evidence: Evidence, judgement: Judgement) -> str:
    """What a reader must know before anything else: first of all, if no model is needed."""
    free = _free_arm_as_good(evidence)
    if free is not None:
        return free
    return {
        Verdict.PROMOTE: "Tuning helps.",
        Verdict.NOT_NEEDED: "You do not need to tune.",
        Verdict.REJECT: "The tuned model is not good enough.",
        Verdict.INCONCLUSIVE: "The test could not decide.",
    }[judgement.verdict]


def _free_arm_as_good(evidence: Evidence) -> str | None:
    """A free arm that the tuned model (or, untrained, the best base arm) is not shown to beat.

    "Does as well" is said if besides that its score is no further below than ``smallestEffect``.
    """
    rival, rival_name = evidence.tuned, "tuned"
    if rival is None:
        rival_name = evidence.best_base()
        rival = evidence.answers[rival_name]
    if rival_name in FREE_ARMS:
        return None
    free = [arm for arm in evidence.answers if arm in FREE_ARMS]
    for arm in sorted(free, key=lambda arm: -sum(evidence.answers[arm].scores)):
        scores = evidence.answers[arm].scores
        gain = paired_difference(rival.scores, scores, evidence.groups, evidence.confidence)
        if gain is None or gain.low <= 0:
            return _free_line(evidence, arm, rival.scores, rival_name)
    return None


def _free_line(evidence: Evidence, arm: str, rival: Sequence[float], rival_name: str) -> str:
    scores = evidence.answers[arm].scores
    ahead = (sum(rival) - sum(scores)) / len(scores)
    figures = f"{wording.score_of(scores)}, {rival_name} {wording.score_of(rival)}"
    if ahead <= float(evidence.evaluation.smallest_effect):
        return f"{wording.NAMES[arm]} does as well: {figures}."
    return (
        f"{wording.NAMES[arm]} is not shown to be worse: {figures}; "
        f"the test is too small for a difference of {points(ahead)} points."
    )
