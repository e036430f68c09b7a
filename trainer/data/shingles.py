"""Texts as sets of shingles: numbers that stand for runs of three words, made for many at once.

A character of Chinese or Japanese is a word. System text has no shingles.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trainer.data.message import Message
from trainer.data.shape import normalised

SHINGLE_WORDS = 3
MAX_WORDS = 1 << 18
"""Numbers of words that are kept at hand; more would only be memory."""

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")
ASCII_WORD = re.compile(r"[a-z0-9_]+")
"""The same words in a text that has been normalised and is ASCII, found in half the time."""

Numbers = NDArray[np.uint32]
_PLACES = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)
_MIX = np.uint64(0xFF51AFD7ED558CCD)
_HALF = np.uint64(32)


@dataclass(frozen=True)
class Shingles:
    """Sets of several texts, one after the other; ``ends`` are the places where each ends."""

    numbers: Numbers
    ends: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Of each set."""
        return np.diff(self.ends, prepend=0)

    def of(self, chosen: NDArray[np.bool_]) -> "Shingles":
        """The sets of the texts that are chosen."""
        sizes = self.sizes
        return Shingles(self.numbers[np.repeat(chosen, sizes)], np.cumsum(sizes[chosen]))

    def without(self, common: Numbers) -> "Shingles":
        """The sets without these."""
        if not len(common):
            return self
        kept = ~np.isin(self.numbers, common)
        return Shingles(self.numbers[kept], np.concatenate([[0], np.cumsum(kept)])[self.ends])


@dataclass
class Words:
    """The number of each word; remembers those that it has seen."""

    known: dict[str, int] = field(default_factory=dict)

    def numbers(self, text: str) -> list[int]:
        """The numbers of a text's words."""
        plain = normalised(text)
        words = (ASCII_WORD if plain.isascii() else WORD).findall(plain)
        try:
            return [self.known[word] for word in words]
        except KeyError:
            return [self._number(word) for word in words]

    def _number(self, word: str) -> int:
        if len(self.known) >= MAX_WORDS:
            self.known.clear()
        return self.known.setdefault(word, zlib.crc32(word.encode()))


@dataclass(frozen=True)
class WordRows:
    """The words of several prompts, message after message."""

    numbers: Sequence[int]
    owners: Sequence[int]
    """Which prompt each message is of."""
    lengths: Sequence[int]
    """Words of each message."""
    count: int


def shingles_of(prompts: Sequence[Sequence[Message]], words: Words) -> Shingles:
    """The shingles of each prompt."""
    return runs(words_of(prompts, words))


def words_of(prompts: Sequence[Sequence[Message]], words: Words) -> WordRows:
    """The words of each prompt."""
    numbers: list[int] = []
    owners: list[int] = []
    lengths: list[int] = []
    for owner, prompt in enumerate(prompts):
        for message in prompt:
            if message["role"] != "system":
                found = words.numbers(message["content"])
                numbers += found
                owners.append(owner)
                lengths.append(len(found))
    return WordRows(numbers, owners, lengths, len(prompts))


def runs(words: WordRows) -> Shingles:
    """Sets of runs of words; none goes from one message to the next.

    Lets go of the interpreter's lock, where there are many words.
    """
    word = np.array(words.numbers, np.uint64)
    message = np.repeat(np.arange(len(words.lengths)), words.lengths)
    owners, last = np.array(words.owners, np.uint64), SHINGLE_WORDS - 1
    if len(word) <= last:
        return Shingles(np.empty(0, np.uint32), np.zeros(words.count, np.int64))
    stop = len(word) - last
    mixed = sum(word[at : at + stop] * place for at, place in enumerate(_PLACES))
    mixed = (mixed ^ (mixed >> _HALF)) * _MIX
    whole = message[:-last] == message[last:]
    # The owner above, so that one sort makes a set of every text and keeps them in order
    keyed = owners[message[:-last]] << _HALF | mixed >> _HALF
    sets = np.unique(keyed[whole])
    ends = np.searchsorted(sets >> _HALF, np.arange(words.count, dtype=np.uint64), side="right")
    return Shingles(sets.astype(np.uint32), ends.astype(np.int64))
