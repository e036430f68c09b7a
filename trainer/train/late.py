"""Figures that the device still computes: asked for at once, read when they have arrived.

Owns the way from a tensor on the device to numbers on the host without waiting in between. Where
the device is the host, numbers are there at once.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
Read = Callable[[], list[float]]


def on_the_way(values: Tensor) -> Read:
    """Begin to fetch a vector; what is returned waits for it, and for nothing later."""
    if values.device.type != "cuda":
        return values.tolist
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    host.copy_(values, non_blocking=True)
    arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
    arrived.record()

    def read() -> list[float]:
        arrived.synchronize()
        return host.tolist()

    return read


@dataclass
class Late(Generic[T]):
    """What was asked for, oldest first, each with what it belongs to."""

    count: int = 0
    """So many of the newest stay on their way."""
    fetch: Callable[[Tensor], Read] = on_the_way
    _waiting: deque[tuple[T, Read]] = field(default_factory=deque)

    def __len__(self) -> int:
        """How many were not read."""
        return len(self._waiting)

    def ask(self, what: T, *figures: Tensor) -> None:
        """Begin to fetch figures of one number each."""
        self._waiting.append((what, self.fetch(torch.stack([each.double() for each in figures]))))

    def due(self) -> Iterator[tuple[T, list[float]]]:
        """Those that are old enough to have arrived."""
        return self._read(self.count)

    def all(self) -> Iterator[tuple[T, list[float]]]:
        """All of them; waits for the device."""
        return self._read(0)

    def _read(self, left: int) -> Iterator[tuple[T, list[float]]]:
        while len(self._waiting) > left:
            what, read = self._waiting.popleft()
            yield what, read()
