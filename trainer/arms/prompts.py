"""The prompts of every arm, from the same test rows.

Owns which examples a base model is shown and how they are laid out; they come from the training
rows alone. The tuned model is asked with exactly the prompt it was trained on, which holds the
instruction and, for a closed set of answers, the list of labels: prepare put them there.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from trainer.arms.metrics import tokens
from trainer.arms.retrieve import Retriever, question
from trainer.contract.spec import Evaluation
from trainer.data.chat import Message, Renderer
from trainer.data.message import offered, tools_of
from trainer.data.plan import PreparedPlan
from trainer.data.prepared import PreparedRow, Rows

DIVERSITY_POOL = 256
"""Rows among which the fixed examples of an open set are looked for."""

ShotsOf = Callable[[PreparedRow], Sequence[PreparedRow]]


@dataclass(frozen=True)
class PromptRules:
    """What the prompts of a run have in common."""

    renderer: Renderer
    plan: PreparedPlan
    evaluation: Evaluation
    seed: int
    context_tokens: int

    @property
    def prompt_tokens(self) -> int:
        """Longest prompt that leaves room for the answer."""
        return max(1, self.context_tokens - self.plan.max_new_tokens)


def arm_prompts(
    arm: str, rules: PromptRules, train: Rows, test: Sequence[PreparedRow]
) -> list[list[int]]:
    """Token ids of every test row's prompt in this arm, in the order of the rows.

    Raises:
        ValueError: the arm asks no model.
    """
    build = PROMPTS.get(arm)
    if build is None:
        raise ValueError(f"arm {arm} has no prompts; one of {', '.join(PROMPTS)} has")
    return build(rules, train, test)


def tuned(rules: PromptRules, _train: Rows, test: Sequence[PreparedRow]) -> list[list[int]]:
    """As in training, nothing added."""
    return [_fitted(rules, row.prompt) for row in test]


def zero_shot(rules: PromptRules, _train: Rows, test: Sequence[PreparedRow]) -> list[list[int]]:
    """The question alone."""
    return [_with_shots(rules, row, []) for row in test]


def few_shot(rules: PromptRules, train: Rows, test: Sequence[PreparedRow]) -> list[list[int]]:
    """The same examples before every question."""
    shots = fixed_shots(rules, train, test)
    return [_with_shots(rules, row, shots) for row in test]


def retrieved_few_shot(
    rules: PromptRules, train: Rows, test: Sequence[PreparedRow]
) -> list[list[int]]:
    """For each question the training rows most like it, the most similar last."""
    retriever = Retriever.over(train)
    count = rules.plan.few_shot_examples
    return [_with_shots(rules, row, retriever.nearest(row, count)[::-1]) for row in test]


PROMPTS: Mapping[str, Callable[[PromptRules, Rows, Sequence[PreparedRow]], list[list[int]]]] = {
    "ZeroShot": zero_shot,
    "FewShot": few_shot,
    "RetrievedFewShot": retrieved_few_shot,
    "Tuned": tuned,
}


def fixed_shots(rules: PromptRules, train: Rows, test: Sequence[PreparedRow]) -> list[PreparedRow]:
    """The examples of the fixed arm: one of each label first, then the next of each, shuffled.

    Without a closed set of answers: rows that have as few words in common as can be found.
    """
    asked = {row.group for row in test}
    order = [at for at, row in enumerate(train) if row.group not in asked]
    shuffled = random.Random(rules.seed)  # noqa: S311 - examples, not secrets
    shuffled.shuffle(order)
    if not rules.plan.labels:
        pool = [train[at] for at in order[:DIVERSITY_POOL]]
        return _diverse(pool, rules.plan.few_shot_examples)
    shots = _label_by_label(train, order, _labelled_count(rules))
    shuffled.shuffle(shots)
    return shots


def _labelled_count(rules: PromptRules) -> int:
    """Every label once, unless the user asked for a number of examples."""
    if rules.evaluation.few_shot_examples == "Auto":
        return max(rules.plan.few_shot_examples, len(rules.plan.labels))
    return rules.plan.few_shot_examples


def _label_by_label(train: Rows, order: Sequence[int], count: int) -> list[PreparedRow]:
    """Round after round one row of each label, until there are ``count``."""
    seen: Counter[str] = Counter()

    def rounds() -> Iterator[tuple[int, int]]:
        for place, at in enumerate(order):
            label = train[at].reference
            yield seen[label], place
            seen[label] += 1

    return [train[order[place]] for _, place in heapq.nsmallest(count, rounds())]


def _diverse(rows: Sequence[PreparedRow], count: int) -> list[PreparedRow]:
    """Start with the first row, then always the one least like any that was taken."""
    words = [frozenset(tokens(f"{question(row.prompt)} {row.reference}")) for row in rows]
    taken = list(range(len(rows)))[:1]
    likeness = [0.0] * len(rows)
    while len(taken) < min(count, len(rows)):
        newest = words[taken[-1]]
        likeness = [
            max(old, _jaccard(own, newest)) for old, own in zip(likeness, words, strict=True)
        ]
        rest = (at for at in range(len(rows)) if at not in taken)
        taken.append(min(rest, key=lambda at: (likeness[at], at)))
    return [rows[at] for at in taken]


def _jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    union = len(left | right)
    return len(left & right) / union if union else 1.0


def _with_shots(rules: PromptRules, row: PreparedRow, shots: Sequence[PreparedRow]) -> list[int]:
    """The row's prompt after the examples; of too many the first, least similar, are dropped."""
    for start in range(len(shots)):
        ids = rules.renderer.prompt_ids(_messages(rules, row, shots[start:]))
        if len(ids) <= rules.prompt_tokens:
            return ids
    return _fitted(rules, _messages(rules, row, []))


def _fitted(rules: PromptRules, messages: Sequence[Message]) -> list[int]:
    """A question longer than the context loses its beginning, as it did in training."""
    return rules.renderer.prompt_ids(messages)[-rules.prompt_tokens :]


def _messages(rules: PromptRules, row: PreparedRow, shots: Sequence[PreparedRow]) -> list[Message]:
    """System text, the examples as earlier turns, the question."""
    system = [turn["content"] for turn in row.prompt if turn["role"] == "system"]
    if rules.evaluation.system_prompt:
        system.insert(0, rules.evaluation.system_prompt)
    messages = [Message(role="system", content="\n\n".join(system))] if system else []
    for shot in shots:
        messages += _turns(shot)
        messages.append(Message(role="assistant", content=shot.reference))
    return offered([*messages, *_turns(row)], tools_of(row.prompt))


def _turns(row: PreparedRow) -> list[Message]:
    return [turn for turn in row.prompt if turn["role"] != "system"]
