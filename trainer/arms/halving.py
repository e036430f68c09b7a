"""How many rows are answered at once where the device's memory decides."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from trainer.model.fit import ANSWERING_REMEDY, give_back, too_large, unless_out_of_memory

T = TypeVar("T")


@dataclass
class Halving:
    """Remembers what did not fit, so that no later part tries it again."""

    most: int = sys.maxsize

    def answers(
        self, decode: Callable[[Sequence[T]], list[list[int]]], prompts: Sequence[T], at_once: int
    ) -> Iterator[list[int]]:
        """The answers in order, from parts of at most ``at_once`` prompts.

        A part that the device does not hold is answered again with half of its rows.

        Raises:
            StageError: GPU_OUT_OF_MEMORY, it does not hold one.
        """
        done = 0
        while done < len(prompts):
            part = prompts[done : done + min(at_once, self.most)]
            found = unless_out_of_memory(lambda: decode(part))  # noqa: B023 - called at once
            if found is None:
                self.most = self._half(len(part))
                continue
            yield from found
            done += len(part)

    def _half(self, rows: int) -> int:
        if rows == 1:
            raise too_large("one prompt and its answer", ANSWERING_REMEDY)
        give_back()
        return rows // 2
