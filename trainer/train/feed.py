"""Batches on their way to the device: sent without waiting, the next one before it is needed."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from trainer.model.hardware import Choices
from trainer.train.batch import Batch

T = TypeVar("T")


def feed(batches: Iterable[Batch], device: torch.device, choices: Choices) -> Iterator[Batch]:
    """The batches on the device, in their order.

    The next one is packed and sent before the one before it is computed; on a GPU, which works
    behind the host's back, that is while it computes.
    """
    return ahead(
        (send(each, device, pinned=choices.pinned) for each in batches), choices.batches_ahead
    )


def ahead(items: Iterable[T], count: int) -> Iterator[T]:
    """The items in their order, each asked for ``count`` items before it is handed on."""
    waiting: deque[T] = deque()
    for item in items:
        waiting.append(item)
        if len(waiting) > count:
            yield waiting.popleft()
    yield from waiting


def send(batch: Batch, device: torch.device, *, pinned: bool) -> Batch:
    """The batch on the device.

    Page-locked memory is given back by torch's allocator only after the copy from it.
    """

    def sent(tensor: Tensor) -> Tensor:
        return tensor.pin_memory().to(device, non_blocking=True)

    return batch.map(sent) if pinned else batch.to(device)
