"""Attention inside packs: many rows in one sequence, none of which sees another.

Owns the attention function that transformers calls by name while ``packed_attention`` is
entered, and which models it is right for. Knows nothing of losses or of how packs are chosen.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel

NAME = "tunekeeper_packed"
MAX_PADDING = 1.25
"""Rows share one call while the longest is at most so much longer than the shortest, ..."""
LONGEST_PADDED = 128
"""... and no longer than this: gathering costs more than a call of their own. Not tuned."""
QKV = tuple[Tensor, Tensor, Tensor]
Each = Callable[[Tensor], Tensor]
_UNSUPPORTED = ("attn_logit_softcapping", "attention_chunk_size", "attention_sink")


@dataclass(frozen=True)
class Heads:
    """How the calling layer wants its heads computed."""

    repeats: int
    """Query heads per key head."""
    dropout: float
    scale: float | None


class Division(Protocol):
    """How a pack divides into rows, and with it the way they are attended to."""

    def attend(self, qkv: QKV, heads: Heads) -> Tensor:
        """Attention of each row to itself and the prefix: (tokens, heads, width)."""

    def map(self, each: Each) -> "Division":
        """The same division, with every tensor of it put through ``each``."""


Divide = Callable[[int, Sequence[int]], Division]
"""From a prefix and the lengths of the rows behind it, in order of length."""


@dataclass(frozen=True)
class Group:
    """Rows of like length that lie behind each other in the pack."""

    rows: int
    longest: int
    visible: Tensor | None
    """(longest, prefix + longest); None: plain causal."""
    positions: Tensor | None
    """Where each of (rows x longest) is among the group's tokens; None: no row is padded."""
    kept: Tensor | None
    """Where each of the group's tokens is among (rows x longest); None: no row is padded."""

    def map(self, each: Each) -> "Group":
        """The same group, with every tensor of it put through ``each``."""
        tensors = (self.visible, self.positions, self.kept)
        moved = (None if one is None else each(one) for one in tensors)
        return Group(self.rows, self.longest, *moved)

    def attend(self, own: QKV, prefix: QKV, heads: Heads) -> Tensor:
        """Attention of the group's tokens to their rows and the prefix: (tokens, heads, width)."""
        q, k, v = (self._row_by_row(tensor) for tensor in own)
        if prefix[0].shape[1]:
            shared = [tensor[None].expand(self.rows, -1, -1, -1) for tensor in prefix[1:]]
            k, v = torch.cat([shared[0], k], dim=2), torch.cat([shared[1], v], dim=2)
        out = _rows_attention((q, k, v), self.visible, heads)
        return out if self.kept is None else out.index_select(0, self.kept)

    def _row_by_row(self, states: Tensor) -> Tensor:
        """(heads, tokens, width) in; (rows, heads, longest, width) out."""
        full = states if self.positions is None else states.index_select(1, self.positions)
        return full.view(len(full), self.rows, self.longest, -1).transpose(0, 1)


@dataclass(frozen=True)
class Segments:
    """How a pack divides: a shared prefix, which may be empty, then groups of rows."""

    prefix: int
    sizes: tuple[int, ...]
    """Tokens of each group."""
    groups: tuple[Group, ...]

    def map(self, each: Each) -> "Segments":
        """The same division, with every tensor of it put through ``each``."""
        return replace(self, groups=tuple(group.map(each) for group in self.groups))

    def attend(self, qkv: QKV, heads: Heads) -> Tensor:
        """One call of SDPA for each group."""
        sizes = [self.prefix, *self.sizes]
        first, *parts = zip(*(torch.split(tensor, sizes, dim=1) for tensor in qkv), strict=True)
        outputs = [
            group.attend(part, first, heads) for group, part in zip(self.groups, parts, strict=True)
        ]
        if self.prefix:
            q, k, v = (tensor[None] for tensor in first)
            outputs.insert(0, _rows_attention((q, k, v), None, heads))
        return torch.cat(outputs) if len(outputs) > 1 else outputs[0]


def divide(prefix: int, lengths: Sequence[int]) -> Segments:
    """Segments of a pack ``[prefix][row 1][row 2]...`` with rows of the given lengths.

    Rows are expected in order of length: neighbours of like length share one call.
    """
    parts = _alike(lengths)
    groups = tuple(_group(prefix, part) for part in parts)
    return Segments(prefix, tuple(sum(part) for part in parts), groups)


def _group(prefix: int, lengths: Sequence[int]) -> Group:
    """A group of rows with these lengths."""
    rows, longest = len(lengths), max(lengths)
    visible = _visible(prefix, longest)
    if min(lengths) == longest:
        return Group(rows, longest, visible, None, None)
    starts = torch.tensor([0, *lengths]).cumsum(0)[:-1, None]
    inside = torch.arange(longest)
    real = inside < torch.tensor(lengths)[:, None]
    positions = (starts + inside).where(real, starts).flatten()
    kept = [torch.arange(length) + row * longest for row, length in enumerate(lengths)]
    return Group(rows, longest, visible, positions, torch.cat(kept))


def _alike(lengths: Sequence[int]) -> list[list[int]]:
    parts: list[list[int]] = []
    for length in lengths:
        members = [*parts[-1], length] if parts else [length]
        is_cheap = max(members) <= LONGEST_PADDED and max(members) <= MAX_PADDING * min(members)
        if parts and (is_cheap or max(members) == min(members)):
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
    attention_mask: Tensor | None,  # noqa: ARG001 - there is none, see below
    *,
    segments: Division,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: Any,  # noqa: ANN401 - whatever else a model family passes to every implementation
) -> tuple[Tensor, None]:
    """Attention of one pack; query, key and value are (1, heads, tokens, width)."""
    heads = Heads(getattr(module, "num_key_value_groups", 1), dropout, scaling)
    return segments.attend((query[0], key[0], value[0]), heads)[None], None


def _rows_attention(qkv: QKV, visible: Tensor | None, heads: Heads) -> Tensor:
    """(rows, heads, tokens, width) in; (rows x tokens, heads, width) out."""
    q, k, v = qkv
    shares_keys = heads.repeats > 1 and may_share_keys(k)
    if heads.repeats > 1 and not shares_keys:
        k, v = (tensor.repeat_interleave(heads.repeats, dim=1) for tensor in (k, v))
    out = scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=visible,
        dropout_p=heads.dropout,
        is_causal=visible is None,
        scale=heads.scale,
        enable_gqa=shares_keys,
    )
    return out.transpose(1, 2).flatten(0, 1)


def may_share_keys(keys: Tensor) -> bool:
    """Whether query heads read the keys of their group as they are; no GPU kernel with a mask does.

    A thread computes the gradients of a row's key head: there have to be enough of them.
    """
    rows, heads = keys.shape[:2]
    return keys.device.type == "cpu" and rows * heads >= torch.get_num_threads()


AttentionInterface.register(NAME, packed)
# The mask of a pack is in its division. No mask function is registered under the name: then
# transformers builds none, and asks no GPU whether the position ids start anew somewhere.


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
