"""Tensors of one micro-batch: a pack without padding, or padded rows where packs are not right."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from trainer.model.attention import Divide, Division, Each, divide
from trainer.train.documents import Document


@dataclass(frozen=True)
class Batch:
    """Inputs of shape (rows, tokens); sources and targets index the flattened rows."""

    input_ids: Tensor
    position_ids: Tensor
    segments: Division | None
    sources: Tensor
    """Places whose hidden state predicts a token that carries loss."""
    targets: Tensor
    """Those tokens."""
    data_tokens: int
    """Tokens of the rows as the data has them, without padding, a shared prefix in every row."""

    def map(self, each: Each) -> "Batch":
        """The same batch, with every tensor of it put through ``each``."""
        return replace(
            self,
            input_ids=each(self.input_ids),
            position_ids=each(self.position_ids),
            segments=None if self.segments is None else self.segments.map(each),
            sources=each(self.sources),
            targets=each(self.targets),
        )

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        return self.map(lambda tensor: tensor.to(device))


def pack(documents: Sequence[Document], prefix: int = 0, division: Divide = divide) -> Batch:
    """One sequence ``[prefix][rest of row 1][rest of row 2]...``, positions as if apart."""
    rests = [each.tokens[prefix:] for each in documents]
    tokens = np.concatenate([documents[0].tokens[:prefix], *rests])
    positions = [np.arange(prefix), *(np.arange(prefix, len(each)) for each in documents)]
    starts = np.cumsum([prefix, *(len(rest) for rest in rests)])
    shifts = [start - prefix - 1 for start in starts]
    return _batch(
        documents,
        shifts,
        input_ids=tokens[None],
        position_ids=np.concatenate(positions)[None],
        segments=division(prefix, [len(rest) for rest in rests]),
    )


def pad(documents: Sequence[Document]) -> Batch:
    """One row each, padded at the end, whatever the padding's token: no earlier token sees it.

    So it needs no mask. One would leave padding that sees nothing at all, and in float64 Gemma's
    attention makes NaN of that.
    """
    longest = max(len(each) for each in documents)
    tokens = np.zeros((len(documents), longest), dtype=np.int64)
    for row, each in enumerate(documents):
        tokens[row, : len(each)] = each.tokens
    return _batch(
        documents,
        [row * longest - 1 for row in range(len(documents))],
        input_ids=tokens,
        position_ids=np.broadcast_to(np.arange(longest), tokens.shape).copy(),
    )


def _batch(
    documents: Sequence[Document],
    shifts: Sequence[int],
    *,
    input_ids: np.ndarray,
    position_ids: np.ndarray,
    segments: Division | None = None,
) -> Batch:
    """``shifts`` lead from a document's place of a target to the flat place that predicts it."""
    pairs = list(zip(documents, shifts, strict=False))
    sources = np.concatenate([each.targets + shift for each, shift in pairs])
    targets = np.concatenate([each.tokens[each.targets] for each in documents])
    return Batch(
        input_ids=torch.from_numpy(input_ids),
        position_ids=torch.from_numpy(position_ids),
        segments=segments,
        sources=torch.from_numpy(sources),
        targets=torch.from_numpy(targets),
        data_tokens=sum(len(each) for each in documents),
    )
