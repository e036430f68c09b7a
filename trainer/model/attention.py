"""Attention inside packs: many rows in one sequence, none of which sees another.

Owns the attention function that transformers calls by name while ``packed_attention`` is
entered, and which models it is right for. Knows nothing of losses or of how packs are chosen.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface

NAME = "tunekeeper_packed"
MAX_PADDING = 1.25
"""Rows share one call while the longest is at most so much longer than the shortest."""
_QKV = tuple[Tensor, Tensor, Tensor]
_UNSUPPORTED = ("attn_logit_softcapping", "attention_chunk_size", "attention_sink")


@dataclass(frozen=True)
class _Heads:
    """How the calling layer wants its heads computed."""

    repeats: int
    """Query heads per key head."""
    dropout: float
    scale: float | None


@dataclass(frozen=True)
class Group:
    """Rows of like length, padded to the longest: positions in the pack, shape (rows, longest)."""

    positions: Tensor
    visible: Tensor | None
    """(longest, prefix + longest); None: plain causal."""


@dataclass(frozen=True)
class Segments:
    """How a pack divides: a shared prefix, which may be empty, then groups of rows."""

    prefix: int
    groups: tuple[Group, ...]
    inverse: Tensor
    """For each position of the pack, its place in the groups' concatenated outputs."""

    def to(self, device: torch.device) -> "Segments":
        """The same division, with its indices on another device."""
        groups = tuple(
            Group(g.positions.to(device), None if g.visible is None else g.visible.to(device))
            for g in self.groups
        )
        return replace(self, groups=groups, inverse=self.inverse.to(device))


def divide(prefix: int, lengths: Sequence[int]) -> Segments:
    """Segments of a pack ``[prefix][row 1][row 2]...`` with rows of the given lengths.

    Rows are expected in order of length: neighbours of like length share one call.
    """
    groups: list[Group] = []
    inverse = [torch.arange(prefix)]
    start = flat = prefix
    for part in _alike(lengths):
        longest = max(part)
        starts = start + torch.tensor([0, *part]).cumsum(0)[:-1]
        inside = torch.arange(longest)
        real = inside < torch.tensor(part)[:, None]
        positions = (starts[:, None] + inside).where(real, starts[:, None])
        places = flat + torch.arange(real.numel()).view(real.shape)
        inverse.append(places[real])
        groups.append(Group(positions, _visible(prefix, longest)))
        start, flat = start + sum(part), flat + real.numel()
    return Segments(prefix, tuple(groups), torch.cat(inverse))


def _alike(lengths: Sequence[int]) -> list[list[int]]:
    parts: list[list[int]] = []
    for length in lengths:
        members = [*parts[-1], length] if parts else [length]
        if parts and max(members) <= MAX_PADDING * min(members):
            parts[-1] = members
        else:
            parts.append([length])
    return parts


def _visible(prefix: int, longest: int) -> Tensor | None:
    if prefix == 0:
        return None
    return torch.ones(longest, prefix + longest, dtype=torch.bool).tril(prefix)


def packed(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001 - the null mask of this name
    *,
    segments: Segments,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: Any,  # noqa: ANN401 - whatever else a model family passes to every implementation
) -> tuple[Tensor, None]:
    """Attention of one pack; query, key and value are (1, heads, tokens, width)."""
    heads = _Heads(getattr(module, "num_key_value_groups", 1), dropout, scaling)
    qkv = (query[0], key[0], value[0])
    outputs = [_group_attention(qkv, group, segments.prefix, heads) for group in segments.groups]
    if segments.prefix:
        first = [tensor[None, :, : segments.prefix] for tensor in qkv]
        outputs.insert(0, _rows_attention((first[0], first[1], first[2]), None, heads))
    return torch.cat(outputs).index_select(0, segments.inverse)[None], None


def _group_attention(qkv: _QKV, group: Group, prefix: int, heads: _Heads) -> Tensor:
    rows, longest = group.positions.shape
    flat = group.positions.flatten()
    q, k, v = (
        tensor.index_select(1, flat).view(tensor.shape[0], rows, longest, -1).transpose(0, 1)
        for tensor in qkv
    )
    if prefix:
        shared = [tensor[None, :, :prefix].expand(rows, -1, -1, -1) for tensor in qkv[1:]]
        k, v = torch.cat([shared[0], k], dim=2), torch.cat([shared[1], v], dim=2)
    return _rows_attention((q, k, v), group.visible, heads)


def _rows_attention(qkv: _QKV, visible: Tensor | None, heads: _Heads) -> Tensor:
    """(rows, heads, tokens, width) in; (rows x tokens, heads, width) out."""
    q, k, v = qkv
    if heads.repeats > 1:
        k, v = (tensor.repeat_interleave(heads.repeats, dim=1) for tensor in (k, v))
    out = scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=visible,
        dropout_p=heads.dropout,
        is_causal=visible is None,
        scale=heads.scale,
    )
    return out.transpose(1, 2).flatten(0, 1)


def _no_mask(*_args: object, **_kwargs: object) -> None:
    """The mask of a pack is in its segments; transformers builds none."""


AttentionInterface.register(NAME, packed)
AttentionMaskInterface.register(NAME, _no_mask)


@contextmanager
def packed_attention(model: PreTrainedModel) -> Iterator[None]:
    """Let ``model`` attend by segments inside the block, and as before after it."""
    config = model.config
    before = config._attn_implementation  # noqa: SLF001 - the switch has no public setter this cheap
    config._attn_implementation = NAME  # noqa: SLF001
    try:
        yield
    finally:
        config._attn_implementation = before  # noqa: SLF001


def attends_fully(model: PreTrainedModel, longest: int) -> bool:
    """Whether every layer attends to all earlier tokens of a row of at most ``longest`` tokens."""
    config = model.config
    if any(getattr(config, name, None) is not None for name in _UNSUPPORTED):
        return False
    if any(name.rpartition(".")[2] == "sinks" for name, _ in model.named_parameters()):
        return False
    window = getattr(config, "sliding_window", None)
    slides = window is not None and getattr(config, "use_sliding_window", True)
    # A family without kinds of layers, as Mistral's, slides in all of them.
    every = "sliding_attention" if slides else "full_attention"
    kinds = set(getattr(config, "layer_types", None) or [every])
    if not kinds <= {"full_attention", "sliding_attention"}:
        return False
    return not slides or longest <= int(window or 0) or kinds == {"full_attention"}
