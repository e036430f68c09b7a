"""Evidence for tests of the judge: arms by how many of the items each gets right."""

from typing import Any

from trainer.contract.spec import Evaluation
from trainer.judge.alpha import confidence
from trainer.judge.evidence import Answers, Evidence, Item
from trainer.store.manifest import TUNED


def items(count: int, *, per_group: int = 1) -> list[Item]:
    """Test items, all with the reference ``yes``."""
    return [
        Item(f"item-{index}", f"group-{index // per_group}", f"question {index}", "yes")
        for index in range(count)
    ]


def right(*indices: int, of: int) -> list[float]:
    """Scores that are 1 at the given items."""
    return [float(index in set(indices)) for index in range(of)]


def span(start: int, stop: int, of: int) -> list[float]:
    """Scores that are 1 from ``start`` up to ``stop``."""
    return right(*range(start, stop), of=of)


def answers(scores: list[float], *, wrong: str = "no") -> Answers:
    """Answers that deserve these scores."""
    return Answers(["yes" if score == 1 else wrong for score in scores], scores)


def evidence(
    arms: dict[str, list[float]],
    tuned: list[float] | None = None,
    *,
    per_group: int = 1,
    evaluation: dict[str, Any] | None = None,
    **fields: Any,
) -> Evidence:
    """A case with these arms as its gates, the tuned scores, and any other field."""
    setting = evaluation or {}
    listed = [{"name": name} for name in arms if name not in {"NearestRow", "MajorityLabel"}]
    spec = Evaluation.model_validate({"arms": listed, "looks": "Report"} | setting)
    given = arms if tuned is None else {**arms, TUNED: tuned}
    count = len(next(iter(given.values())))
    known: dict[str, Any] = {
        "evaluation": spec,
        "metric": "ExactMatch",
        "items": items(count, per_group=per_group),
        "answers": {name: answers(scores) for name, scores in given.items()},
        "look": 1,
        "confidence": confidence(spec),
        "rows": 10 * count,
    }
    return Evidence(**(known | fields))
