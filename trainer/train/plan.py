"""The global plan of a run: which documents make up each optimizer step, and each micro-batch.

A pure function of lengths, settings and seed, so that it is the same on every rank, on every
attempt and on resume. Counts tokens as the data has them; a shared prefix saves work, not data.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

EVALUATIONS = 10


@dataclass(frozen=True)
class Step:
    """One optimizer step; ``epoch`` counts passes finished after it."""

    documents: tuple[int, ...]
    epoch: float


def plan_steps(
    lengths: Sequence[int], *, epochs: int, batch_tokens: int, max_steps: int | None, seed: int
) -> list[Step]:
    """Steps of about ``batch_tokens`` tokens each; no step spans two epochs."""
    steps: list[Step] = []
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(lengths))
        parts = _cut(order, np.asarray(lengths)[order], batch_tokens)
        steps += [Step(part, epoch + (i + 1) / len(parts)) for i, part in enumerate(parts)]
    return steps[:max_steps]


def _cut(order: np.ndarray, lengths: np.ndarray, batch_tokens: int) -> list[tuple[int, ...]]:
    """Parts of nearly equal tokens, so that an epoch has no small last step."""
    ends = np.cumsum(lengths)
    count = min(len(order), max(1, round(ends[-1] / batch_tokens)))
    part = np.minimum((ends - 1) * count // ends[-1], count - 1)
    groups = (order[part == number] for number in range(count))
    return [tuple(int(i) for i in group) for group in groups if len(group)]


def micro_batches(
    members: Sequence[int], lengths: Sequence[int], *, prefix: int, limit: int
) -> list[list[int]]:
    """Split a step, sorted by length, so that each part computes at most ``limit`` tokens.

    A document longer than the limit gets a part of its own. The longest come first: of the heap
    that they leave behind (``heap``) the parts after them use more than the other way round.
    """
    parts: list[list[int]] = []
    used = 0
    for member in sorted(members, key=lambda i: (lengths[i], i)):
        needed = lengths[member] - prefix
        if not parts or used + needed > limit:
            parts.append([])
            used = prefix
        parts[-1].append(member)
        used += needed
    return parts[::-1]


def evaluation_steps(steps: int) -> frozenset[int]:
    """About ``EVALUATIONS`` steps, evenly spread, the last one always among them."""
    count = min(EVALUATIONS, steps)
    return frozenset(round(steps * (i + 1) / count) for i in range(count))
