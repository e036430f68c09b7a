"""A device whose memory runs out where the test says: no GPU is needed to see what follows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainer.train.batch import Batch
from trainer.train.loss import loss_sum

Refuses = Callable[[Batch, int], bool]
"""Whether the device does not hold a micro-batch, the n-th that it is asked for."""


def larger_than(tokens: int) -> Refuses:
    """A device that holds so many tokens at a time."""
    return lambda batch, _: batch.input_ids.numel() > tokens


def once(number: int) -> Refuses:
    """Another program takes the memory for a moment."""
    return lambda _, asked: asked == number


def never(_batch: Batch, _number: int) -> bool:
    """Enough of it."""
    return False


class _NoRoomForGradients(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, loss: Tensor) -> Tensor:
        return loss.clone()

    @staticmethod
    def backward(_ctx: Any, *_outputs: Tensor) -> Tensor:
        raise torch.OutOfMemoryError


@dataclass
class ShortDevice:
    """Stands in for ``loss_sum``; counts what it was asked for."""

    refuses: Refuses = never
    backward: bool = False
    """Forward passes, and only then there is no room."""
    error: Callable[[], Exception] = torch.OutOfMemoryError
    asked: int = 0
    refused: int = 0

    def __call__(self, model: Any, batch: Batch) -> Tensor:
        number, self.asked = self.asked, self.asked + 1
        if not self.refuses(batch, number):
            return loss_sum(model, batch)
        self.refused += 1
        if not self.backward:
            raise self.error()
        loss: Tensor = _NoRoomForGradients.apply(loss_sum(model, batch))
        return loss
