"""Names of arms and verdicts as people say them."""

from dataclasses import dataclass

from trainer.contract.verdict import ArmScore, Verdict
from trainer.store.manifest import TUNED

ARMS = {
    TUNED: "Tuned",
    "Promoted": "Promoted adapter",
    "ZeroShot": "Zero-shot",
    "FewShot": "Few-shot",
    "RetrievedFewShot": "Retrieved few-shot",
    "MajorityLabel": "Majority label",
    "NearestRow": "Nearest row",
}
FREE = frozenset({"MajorityLabel", "NearestRow"})

ABOUT = {
    TUNED: "the base model with the trained adapter",
    "Promoted": "the adapter in use until now",
    "ZeroShot": "the base model, asked plainly",
    "FewShot": "the base model, shown fixed training examples",
    "RetrievedFewShot": "the base model, shown the most similar training examples",
    "MajorityLabel": "no model: always the most frequent answer",
    "NearestRow": "no model: the answer of the most similar training row",
}

REQUIREMENTS = {"Better": "better", "NotWorse": "not worse"}


@dataclass(frozen=True)
class VerdictName:
    """How a verdict looks: CSS class, a sign that needs no colour, words."""

    kind: str
    sign: str
    text: str


VERDICTS = {
    Verdict.PROMOTE: VerdictName("promote", "✓", "Promote"),
    Verdict.REJECT: VerdictName("reject", "✗", "Reject"),
    Verdict.NOT_NEEDED: VerdictName("not-needed", "○", "Not needed"),
    Verdict.INCONCLUSIVE: VerdictName("inconclusive", "?", "Inconclusive"),
}


def requirement(require: str) -> str:
    """What passing an arm means."""
    return REQUIREMENTS.get(require, require)


def arm_name(name: str) -> str:
    """An arm as people say it."""
    return ARMS.get(name, name)


def arm_kind(arm: ArmScore) -> str:
    """How an arm takes part: tuned, gate, free (no model) or other."""
    if arm.name == TUNED:
        return "tuned"
    if arm.name in FREE:
        return "free"
    return "gate" if arm.gate else "other"
