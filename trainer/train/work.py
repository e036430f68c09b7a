"""How much work the parts of a train stage are, for percent and ETA.

Rough on purpose: units are tokens through the model, forward only. A backward pass costs twice
a forward one; a generated token costs several prompt tokens, which are computed side by side.
"""

from collections.abc import Iterable, Iterator

from trainer.arms.forgetting import ACTIVITY as FORGETTING
from trainer.arms.grading import METRIC, SAMPLE, activity
from trainer.arms.run import FREE_ARMS
from trainer.contract.spec import Evaluation, RunSpec
from trainer.data.plan import PreparedPlan
from trainer.store.manifest import TUNED
from trainer.train.run import ACTIVITY as TRAINING

TRAINING_PASSES = 3
DECODED_TOKEN_WEIGHT = 6
ADAPTER_WEIGHT = 1.5  # an adapter that is not merged: more, smaller multiplications
SHOTS_WEIGHT = 3.0  # retrieved shots are no shared prefix
GRADE_WEIGHT = 0.2  # of an answer; graders differ

Part = tuple[str, str, float]


def model_arms(evaluation: Evaluation) -> list[str]:
    """The listed arms that ask the base model."""
    return [arm.name for arm in evaluation.arms if arm.name not in FREE_ARMS]


def parts(plan: PreparedPlan, spec: RunSpec, test_rows: int, *, trained: bool) -> list[Part]:
    """The stage's parts: (name, unit, estimated work)."""
    row_tokens = plan.data.tokens / max(1, plan.data.train_rows)
    answer = test_rows * (row_tokens + DECODED_TOKEN_WEIGHT * plan.max_new_tokens / 2)
    found: list[Part] = [(arm, "answers", 1.0) for arm in FREE_ARMS]
    found += [
        (arm, "answers", answer * (SHOTS_WEIGHT if arm == "RetrievedFewShot" else 1))
        for arm in model_arms(spec.evaluation)
    ]
    if not trained:
        found.append((TRAINING, "steps", TRAINING_PASSES * float(plan.estimate.train_tokens)))
    found.append((TUNED, "answers", answer * ADAPTER_WEIGHT))
    found.append((FORGETTING, "chunks", 2.0 * spec.evaluation.forgetting.tokens))
    return [*graded(found, GRADE_WEIGHT * answer)] if plan.metric == METRIC else found


def graded(parts: Iterable[Part], weight: float) -> Iterator[Part]:
    """The parts where a grader scores: tried first, then asked after each arm."""
    yield SAMPLE, "answers", 1.0
    for name, unit, work in parts:
        yield name, unit, work
        if unit == "answers":
            yield activity(name), unit, weight
