"""What the tuned answers of one run are beside those of another, item by item. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.stats import binomtest

from trainer.contract.lineage import ChangedItem, Changes, PairedDifference
from trainer.judge.evidence import Item
from trainer.judge.intervals import is_binary, paired_difference
from trainer.store.manifest import ArmAnswer

MAX_SHOWN = 10
CONFIDENCE = 0.95
RIGHT = 1.0


@dataclass(frozen=True)
class Answered:
    """The tuned answers of a run, by item id, and the items that have one."""

    items: Mapping[str, Item]
    answers: Mapping[str, ArmAnswer]

    @classmethod
    def of(cls, items: Sequence[Item], answers: Mapping[str, ArmAnswer]) -> "Answered":
        """Those items that were answered."""
        return cls({item.id: item for item in items if item.id in answers}, answers)

    def shared(self, other: "Answered") -> list[Item]:
        """Items that both have with the same words; ids alone may be line numbers."""
        return [
            item
            for item in self.items.values()
            if (twin := other.items.get(item.id)) is not None
            and (twin.question, twin.reference) == (item.question, item.reference)
        ]


def changes(a: Answered, b: Answered) -> Changes:
    """How many answers went right, wrong, better, worse; and the first of them."""
    items = a.shared(b)
    lost = [item for item in items if _score(a, item) >= RIGHT > _score(b, item)]
    gained = [item for item in items if _score(b, item) >= RIGHT > _score(a, item)]
    return Changes(
        shared=len(items),
        only_a=len(a.items) - len(items),
        only_b=len(b.items) - len(items),
        right_to_wrong=len(lost),
        wrong_to_right=len(gained),
        better=sum(_score(b, item) > _score(a, item) for item in items),
        worse=sum(_score(b, item) < _score(a, item) for item in items),
        lost=[_changed(a, b, item) for item in lost[:MAX_SHOWN]],
        gained=[_changed(a, b, item) for item in gained[:MAX_SHOWN]],
    )


def paired(a: Answered, b: Answered) -> PairedDifference | None:
    """Tuned of b minus tuned of a; None: too few independent items for an interval."""
    items = a.shared(b)
    if not items:
        return None
    old, new = ([_score(side, item) for item in items] for side in (a, b))
    found = paired_difference(new, old, [item.group for item in items], CONFIDENCE)
    if found is None:
        return None
    return PairedDifference(
        delta=found.estimate,
        ci_low=found.low,
        ci_high=found.high,
        confidence_percent=100 * CONFIDENCE,
        method=found.method,
        p_value=mcnemar(old, new),
    )


def mcnemar(old: Sequence[float], new: Sequence[float]) -> float | None:
    """Exact two-sided test that as many answers went right as wrong; None: scores are graded."""
    if not (is_binary(old) and is_binary(new)):
        return None
    wins = sum(after > before for before, after in zip(old, new, strict=True))
    losses = sum(after < before for before, after in zip(old, new, strict=True))
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def _score(side: Answered, item: Item) -> float:
    return side.answers[item.id].score


def _changed(a: Answered, b: Answered, item: Item) -> ChangedItem:
    before, after = a.answers[item.id], b.answers[item.id]
    return ChangedItem(
        id=item.id,
        question=item.question,
        reference=item.reference,
        answer_a=before.answer,
        answer_b=after.answer,
        score_a=before.score,
        score_b=after.score,
    )
