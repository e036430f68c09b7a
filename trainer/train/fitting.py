"""A sum over documents that all ranks take together, in parts small enough for every device.

The sum does not depend on the parts. Where one rank's memory runs out all of them repeat the work
with the same smaller parts, so that none is left waiting in a collective.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from trainer.model.fit import TRAINING_REMEDY, give_back, too_large, unless_out_of_memory
from trainer.train.plan import micro_batches
from trainer.train.ranks import Ranks


class Parts(Protocol):
    """How this rank's share of the work divides."""

    def halved(self, limit: int) -> int:
        """Tokens at a time that halve the largest part; 0: each part is one row already."""


class Share:
    """Documents of this rank, of the given lengths."""

    def __init__(self, members: Sequence[int], lengths: Sequence[int], prefix: int) -> None:
        self._members, self._lengths, self._prefix = members, lengths, prefix

    def halved(self, limit: int) -> int:
        """See ``Parts``. The shared prefix is in every part, so only the rows' own tokens halve."""
        parts = micro_batches(self._members, self._lengths, prefix=self._prefix, limit=limit)
        own = [sum(self._lengths[i] - self._prefix for i in part) for part in parts if part[1:]]
        return self._prefix + max(own) // 2 if own else 0


def sum_that_fits(
    work: Callable[[int], Tensor],
    parts: Parts,
    limit: int,
    ranks: Ranks,
    *,
    drop: Callable[[], None] = lambda: None,
    what: str = "one row",
) -> tuple[Tensor, int]:
    """The sum over all ranks of ``work(limit)``, on the device, and the limit it was done under.

    Args:
        work: Computes this rank's share, at most so many tokens at a time.
        parts: How that share divides.
        limit: Tokens at a time to begin with.
        ranks: Who takes part.
        drop: Removes what a failed attempt left behind.
        what: What it is that does not fit in the end.

    Raises:
        StageError: GPU_OUT_OF_MEMORY, on every rank: some device does not hold one row.
    """
    while True:
        own = unless_out_of_memory(lambda: work(limit))  # noqa: B023 - called before it changes
        if not ranks.any(own is None) and own is not None:
            return ranks.summed(own), limit
        drop()
        give_back()
        smaller = int(ranks.largest(parts.halved(limit)))
        if not smaller:
            raise too_large(what, TRAINING_REMEDY)
        limit = smaller
