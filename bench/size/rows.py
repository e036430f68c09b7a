"""Rows of made text for ``bench.size``: the same for the same seed, with near copies planted.

Words are drawn by Zipf's law from the tokenizer's own, every seventh put together from two, so that
a row has about 210 tokens with its template. Memory does not grow with the number of rows.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

BLOCK_ROWS = 1000
PROMPT_WORDS, ANSWER_WORDS = (105, 140), (16, 30)
ANSWERS = 5000
JOINED = 7
COPY_EVERY = 50
"""One row of so many is the copy of an earlier one."""
KEPT_ROWS = 5000
"""Rows that a copy may be taken of, an even sample of all before it."""
LEVELS = (0.70, 0.75, 0.80, 0.85, 0.90)
SHINGLE_WORDS = 3


@dataclass(frozen=True)
class Copy:
    """A planted pair: rows from 0, and how alike the prompts are by their own shingles."""

    earlier: int
    later: int
    jaccard: float


@dataclass(frozen=True)
class Row:
    """One row; ``copy`` where it was made from another."""

    prompt: str
    answer: str
    copy: Copy | None = None

    def line(self) -> bytes:
        """As JSON lines."""
        return msgspec.json.encode({"prompt": self.prompt, "completion": self.answer}) + b"\n"


def words_of(tokenizer: Path, seed: int) -> list[str]:
    """The tokenizer's words, the most frequent first, as its merges have them."""
    vocabulary = json.loads(tokenizer.read_bytes())["model"]["vocab"]
    ordered = sorted(vocabulary, key=vocabulary.__getitem__)
    words = [name[1:] for name in ordered if re.fullmatch("Ġ[a-z]{2,}", name)]
    others = np.random.default_rng(seed).permutation(len(words)).tolist()
    return [
        word + words[other] if at % JOINED == JOINED - 1 else word
        for at, (word, other) in enumerate(zip(words, others, strict=True))
    ]


def make_rows(count: int, *, words: Sequence[str], seed: int) -> Iterator[Row]:
    """Rows one after the other."""
    rng = np.random.default_rng([seed, 1])
    pool = np.array(words, dtype=object)
    shares = np.cumsum(1 / (np.arange(len(pool)) + 2.7))
    answers = [" ".join(draw(rng, pool, shares, ANSWER_WORDS)) for _ in range(ANSWERS)]
    kept: list[tuple[int, list[str], str]] = []
    for number in range(count):
        answer = answers[rng.integers(ANSWERS)]
        if number % COPY_EVERY == COPY_EVERY - 1 and kept:
            earlier, prompt, answer = kept[rng.integers(len(kept))]
            level = LEVELS[number // COPY_EVERY % len(LEVELS)]
            changed = copied(rng, prompt, level)
            alike = jaccard(shingles(prompt), shingles(changed))
            yield Row(" ".join(changed), answer, Copy(earlier, number, alike))
            continue
        prompt = draw(rng, pool, shares, PROMPT_WORDS)
        place = len(kept) if len(kept) < KEPT_ROWS else int(rng.integers(number + 1))
        kept[place : place + 1] = [(number, prompt, answer)] if place < KEPT_ROWS else []
        yield Row(" ".join(prompt), answer)


def draw(
    rng: np.random.Generator, pool: np.ndarray, shares: np.ndarray, length: tuple[int, int]
) -> list[str]:
    """Words by their shares."""
    at = np.searchsorted(shares, rng.random(rng.integers(*length)) * shares[-1])
    drawn: list[str] = pool[at].tolist()
    return drawn


def copied(rng: np.random.Generator, prompt: Sequence[str], level: float) -> list[str]:
    """A run of words exchanged for new ones, so long that the prompts are about ``level`` alike."""
    count = len(prompt) - SHINGLE_WORDS + 1
    lost = round(count * (1 - level) / (1 + level))
    length = max(1, lost - SHINGLE_WORDS + 1)
    start = int(rng.integers(SHINGLE_WORDS, len(prompt) - length - SHINGLE_WORDS))
    new = [f"exchanged{number}" for number in rng.integers(10**9, size=length)]
    return [*prompt[:start], *new, *prompt[start + length :]]


def shingles(words: Sequence[str]) -> frozenset[tuple[str, ...]]:
    """Runs of three words: the bench's own plain count, no hashes."""
    return frozenset(zip(words, words[1:], words[2:], strict=False))


def jaccard(left: frozenset[tuple[str, ...]], right: frozenset[tuple[str, ...]]) -> float:
    """Size of the intersection over size of the union."""
    return len(left & right) / len(left | right)


def write_rows(path: Path, count: int, *, tokenizer: Path, seed: int) -> list[Copy]:
    """Write them as JSON lines; returns what was planted."""
    copies = []
    with path.open("wb", buffering=1 << 20) as file:
        for row in make_rows(count, words=words_of(tokenizer, seed), seed=seed):
            file.write(row.line())
            if row.copy is not None:
                copies.append(row.copy)
    return copies
