"""What a GPU is to the trainer, where there is none: its kernel, its schedule, its waiting.

The kernels are slow and right (or wrong on purpose); the schedule is that of a GPU on CPU tensors.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._python_dispatch import TorchDispatchMode

from trainer.model.hardware import Choices

SCHEDULE = Choices(fused=True, batches_ahead=1, steps_late=1)
"""A GPU's, without what CPU tensors cannot do, and with the layers that a CPU has."""


def varlen(  # noqa: PLR0917 - torch's own signature
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor,
    max_q: int,
    max_k: int,
    *,
    scale: float | None = None,
    window_size: tuple[int, int] = (-1, -1),
    enable_gqa: bool = False,
) -> Tensor:
    """As ``torch.nn.attention.varlen.varlen_attn``: causal to the end of each row's keys."""
    assert window_size == (-1, 0)
    assert cu_seq_q.dtype == cu_seq_k.dtype == torch.int32
    assert max_q == int(cu_seq_q.diff().max())
    assert max_k == int(cu_seq_k.diff().max())
    assert enable_gqa == (query.shape[1] > key.shape[1])
    return _row_by_row((query, key, value), (cu_seq_q, cu_seq_k), scale, lambda q, k: k - q)


def aligned_to_the_start(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor,
    *_: int,
    scale: float | None = None,
    **_options: Any,
) -> Tensor:
    """A kernel whose causal mask begins with the keys: rows would not see their prefix."""
    return _row_by_row((query, key, value), (cu_seq_q, cu_seq_k), scale, lambda *_: 0)


def refusing(*_: Any, **_options: Any) -> Tensor:
    """A kernel that this device does not have."""
    raise RuntimeError("no kernel image is available for execution on the device")


def of_another_torch(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor,
    *_: int,
    is_causal: bool = False,
) -> Tensor:
    """The first varlen kernel of torch, of 2.10, with the arguments that it took."""
    assert is_causal
    return _row_by_row((query, key, value), (cu_seq_q, cu_seq_k), None, lambda q, k: k - q)


def _row_by_row(
    states: tuple[Tensor, Tensor, Tensor],
    ends: tuple[Tensor, Tensor],
    scale: float | None,
    diagonal: Callable[[int, int], int],
) -> Tensor:
    """One call of SDPA for each row; ``diagonal`` of its queries and keys shifts what they see."""
    query, key, value = states
    places = [[*pairwise(part.tolist())] for part in ends]
    outputs = []
    for (start, end), (first, last) in zip(*places, strict=True):
        parts = (query[start:end], key[first:last], value[first:last])
        q, k, v = (part.transpose(0, 1)[None] for part in parts)
        shift = diagonal(end - start, last - first)
        visible = torch.ones(end - start, last - first, dtype=torch.bool).tril(shift)
        grouped = q.shape[1] > k.shape[1]
        out = scaled_dot_product_attention(
            q, k, v, attn_mask=visible, scale=scale, enable_gqa=grouped
        )
        outputs.append(out[0].transpose(0, 1))
    return torch.cat(outputs)


def scheduled(monkeypatch: pytest.MonkeyPatch, choices: Choices = SCHEDULE) -> None:
    """Let everything be computed as the choices say, on the CPU."""
    monkeypatch.setattr("trainer.model.hardware.choices_for", lambda *_: choices)


@dataclass
class Slow:
    """A device that says late what it computed, and notes how long it was waited for."""

    newest: int = 0
    waits: list[int] = field(default_factory=list)
    """For each figure that was read, how many had been asked for after it."""

    def fetch(self, values: Tensor) -> Callable[[], list[float]]:
        self.newest += 1
        number, kept = self.newest, values.clone()

        def read() -> list[float]:
            self.waits.append(self.newest - number)
            return torch.Tensor.tolist(kept)

        return read


WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "_unique2"}
METHODS = ("item", "cpu", "numpy", "__bool__", "__float__", "__int__", "__index__")


class Waits(TorchDispatchMode):
    """Counts what would make the host wait for a GPU: values that are looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if name in WAITING:
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


@contextmanager
def waits_counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """What the body does that would wait, by operator and by method of a tensor."""
    with Waits() as mode, monkeypatch.context() as patch:
        for name in METHODS:
            patch.setattr(torch.Tensor, name, _counting(name, mode.counts))
        yield mode.counts


def _counting(name: str, counts: Counter[str]) -> Callable[..., Any]:
    before = getattr(torch.Tensor, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        counts[name] += 1
        return before(*args, **kwargs)

    return counted
