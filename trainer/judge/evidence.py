"""What a judgement rests on: answers in the order of the test items, and their scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trainer.contract.spec import Evaluation, Require
from trainer.judge.gate import FREE_ARMS, Gate, gates_of
from trainer.store.manifest import TUNED, ForgettingLosses

PROMOTED = "Promoted"
"""Name of the promoted adapter's arm in comparisons."""


@dataclass(frozen=True)
class Item:
    """One test item."""

    id: str
    group: str
    question: str
    reference: str


@dataclass(frozen=True)
class Answers:
    """One arm's answers, one per test item."""

    texts: Sequence[str]
    scores: Sequence[float]
    flags: Sequence[Sequence[str]] = ()
    """Of a grader; decides nothing."""


@dataclass(frozen=True)
class Rival:
    """The promoted adapter's scores, on the test items that both runs can be asked about."""

    run_id: str
    gate: Gate
    tuned: Sequence[float]
    scores: Sequence[float]
    groups: Sequence[str]


@dataclass(frozen=True)
class Evidence:
    """Everything that the verdict may look at."""

    evaluation: Evaluation
    metric: str
    items: Sequence[Item]
    answers: Mapping[str, Answers]
    look: int
    confidence: float
    rows: int
    """Rows of the whole data set; with the test rows the share that is tested."""
    test_is_split_off: bool = True
    labels: Sequence[str] = ()
    forgetting: ForgettingLosses | None = None
    rival: Rival | None = None
    notes: Sequence[str] = field(default=())

    @property
    def groups(self) -> list[str]:
        """Group of each item."""
        return [item.group for item in self.items]

    @property
    def tuned(self) -> Answers | None:
        """The tuned model's answers; None: it was never trained."""
        return self.answers.get(TUNED)

    def base_scores(self) -> dict[str, Sequence[float]]:
        """Scores of every arm but the tuned one."""
        return {arm: found.scores for arm, found in self.answers.items() if arm != TUNED}

    def gates(self) -> list[Gate]:
        """The gates whose arms were answered."""
        return [gate for gate in gates_of(self.evaluation) if gate.arm in self.answers]

    def best_base(self) -> str:
        """The listed arm with the highest score; with a model, if any such is listed."""
        listed = [gate.arm for gate in self.gates()]
        modelled = [arm for arm in listed if arm not in FREE_ARMS] or listed
        return max(modelled, key=lambda arm: sum(self.answers[arm].scores))


def promoted_gate(require: Require, margin: float, evaluation: Evaluation) -> Gate:
    """The gate that the promoted adapter is."""
    threshold = -margin if require == "NotWorse" else float(evaluation.min_delta)
    return Gate(PROMOTED, require, threshold)
