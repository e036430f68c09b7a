"""Attention inside packs on a GPU: one call of the flash kernel for rows of any length.

Owns the layout that ``torch.nn.attention.varlen`` asks for, and the proof that the kernel at hand
computes what SDPA does. A shared prefix is given to each row as keys of its own; the causal mask
of the kernel is aligned to the end of the keys, so that each row sees all of the prefix.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn
from transformers import PreTrainedModel

from trainer.model.attention import QKV, Divide, Division, Each, Heads, divide
from trainer.model.hardware import choices_of, head_width

Kernel = Callable[..., Any]
CAUSAL = (-1, 0)
"""As the kernel says it: all tokens to the left, none to the right."""
PROBE_ROWS = (3, 5, 9, 17)
PROBE_PREFIX = 6
TOLERANCE = 0.05
"""Relative, in BF16, which has 8 bits; a wrong alignment is off by more than half."""


@dataclass(frozen=True)
class Ragged:
    """How a pack divides, for a kernel that takes rows of any length."""

    prefix: int
    ends: Tensor
    """Of the queries of each row, int32, a leading 0; a prefix is a row too."""
    longest: int
    key_ends: Tensor
    """The same tensor where there is no prefix, which lets the kernel choose cuDNN."""
    longest_keys: int
    places: Tensor | None = None
    """Where each row's keys are among copies of the prefix and then the rows."""
    kernel: Kernel = varlen_attn

    def map(self, each: Each) -> "Ragged":
        """The same division, with every tensor of it put through ``each``."""
        ends = each(self.ends)
        if self.places is None:
            return replace(self, ends=ends, key_ends=ends)
        return replace(self, ends=ends, key_ends=each(self.key_ends), places=each(self.places))

    def attend(self, qkv: QKV, heads: Heads) -> Tensor:
        """Attention of each row to itself and the prefix: (tokens, heads, width)."""
        assert not heads.dropout, "the kernel has none; the base model is never in training mode"  # noqa: S101
        query, key, value = (tensor.transpose(0, 1) for tensor in qkv)
        grouped = {"enable_gqa": True} if heads.repeats > 1 and _says_grouped(self.kernel) else {}
        out: Tensor = self.kernel(
            query,
            self._keys(key),
            self._keys(value),
            self.ends,
            self.key_ends,
            self.longest,
            self.longest_keys,
            scale=heads.scale,
            window_size=CAUSAL,
            **grouped,
        )
        return out

    def _keys(self, states: Tensor) -> Tensor:
        """Every row's keys behind those of the prefix; no place is taken twice.

        So the gradient of the prefix is one sum over its copies and not many small additions.
        """
        if self.places is None:
            return states
        copies = states[: self.prefix].expand(len(self.ends) - 1, -1, -1, -1).flatten(0, 1)
        return torch.cat([copies, states[self.prefix :]]).index_select(0, self.places)


def _says_grouped(kernel: Kernel) -> bool:
    """Older kernels take fewer key heads than query heads without being told."""
    return "enable_gqa" in signature(kernel).parameters


def divide_raggedly(prefix: int, lengths: Sequence[int], kernel: Kernel = varlen_attn) -> Ragged:
    """The division of a pack ``[prefix][row 1][row 2]...`` for the kernel."""
    rows = [prefix, *lengths] if prefix else list(lengths)
    ends, longest = _ends(rows), max(rows)
    if not prefix:
        return Ragged(0, ends, longest, ends, longest, kernel=kernel)
    key_rows = [prefix, *(prefix + length for length in lengths)]
    places = _places(prefix, lengths)
    return Ragged(prefix, ends, longest, _ends(key_rows), max(key_rows), places, kernel)


def _ends(lengths: Sequence[int]) -> Tensor:
    return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)


def _places(prefix: int, lengths: Sequence[int]) -> Tensor:
    """Row by row: its copy of the prefix, then its own tokens, which lie behind all copies."""
    own = prefix * (len(lengths) + 1)
    parts = [torch.arange(prefix)]
    for row, length in enumerate(lengths, start=1):
        parts += [torch.arange(prefix * row, prefix * (row + 1)), torch.arange(own, own + length)]
        own += length
    return torch.cat(parts)


def division_for(model: PreTrainedModel, kernel: Kernel = varlen_attn) -> Divide:
    """How to divide packs for this model where it is now."""
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    repeats = heads // (getattr(config, "num_key_value_heads", None) or heads)
    if choices_of(model).attention == "PerDocument":
        return divide

    def raggedly(prefix: int, lengths: Sequence[int]) -> Ragged:
        return divide_raggedly(prefix, lengths, kernel)

    shape = (repeats * 2, 2, head_width(model))
    return raggedly if agrees(raggedly, shape, model.device, model.dtype) else divide


def agrees(
    division: Divide, shape: tuple[int, int, int], device: torch.device, dtype: torch.dtype
) -> bool:
    """Whether outputs and gradients are those of SDPA, tried on small packs of random numbers.

    ``shape`` is query heads, key heads and width. A kernel that refuses them does not agree.
    """
    try:
        return all(
            _is_close(division, prefix, shape, device, dtype) for prefix in (0, PROBE_PREFIX)
        )
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError, ValueError):  # no kernel; another torch's signature; a check
        return False


def _is_close(
    division: Divide,
    prefix: int,
    shape: tuple[int, int, int],
    device: torch.device,
    dtype: torch.dtype,
) -> bool:
    heads = Heads(shape[0] // shape[1], 0.0, None)
    noise = torch.Generator().manual_seed(0)
    tokens = prefix + sum(PROBE_ROWS)
    states = [
        torch.randn(count, tokens, shape[2], generator=noise).to(device, dtype).requires_grad_()
        for count in (shape[0], shape[1], shape[1])
    ]
    found = [
        _outputs(way(prefix, PROBE_ROWS).map(lambda each: each.to(device)), states, heads)
        for way in (division, divide)
    ]
    pairs = zip(*found, strict=True)
    return all(bool((a - b).norm() <= TOLERANCE * b.norm()) for a, b in pairs)


def _outputs(way: Division, states: Sequence[Tensor], heads: Heads) -> list[Tensor]:
    """The output and the gradients of the inputs, for a gradient that is no constant."""
    out = way.attend((states[0], states[1], states[2]), heads)
    weights = torch.linspace(-1, 1, out.numel(), device=out.device, dtype=out.dtype).view_as(out)
    return [out.detach(), *torch.autograd.grad((out * weights).sum(), list(states))]
