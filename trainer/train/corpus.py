"""A split in memory, ready to be cut into batches the way that is right for the model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.model.attention import Divide, attends_fully, divide
from trainer.model.hardware import choices_of
from trainer.model.load import decoder
from trainer.model.ragged import division_for
from trainer.pulse import beat
from trainer.train.batch import Batch, pack, pad
from trainer.train.documents import Document, lengths_of, shared_prefix
from trainer.train.feed import feed
from trainer.train.fitting import Share, sum_that_fits
from trainer.train.loss import hidden_at_sources, logits_head, loss_sum
from trainer.train.plan import micro_batches
from trainer.train.ranks import ALONE, Ranks
from trainer.train.shares import shares

PROBE_TOKENS = 8
_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3}
_LOOSE_TOLERANCE = 0.05
"""Of hidden states in half precision; a leak between rows changes them by more than half."""


@dataclass(frozen=True)
class Corpus:
    """Documents, how many leading tokens they share, and whether packs are right for the model."""

    documents: Sequence[Document]
    prefix: int = 0
    packs: bool = True
    division: Divide = divide

    @cached_property
    def lengths(self) -> Sequence[int]:
        """Tokens of each document."""
        return lengths_of(self.documents)

    def batches(self, members: Sequence[int], limit: int) -> Iterator[Batch]:
        """The members in micro-batches that compute at most ``limit`` tokens each."""
        parts = micro_batches(members, self.lengths, prefix=self.prefix, limit=limit)
        for part in parts:
            beat()
            documents = [self.documents[i] for i in part]
            yield self._pack(documents) if self.packs else pad(documents)

    def _pack(self, documents: Sequence[Document]) -> Batch:
        return pack(documents, self.prefix, self.division)

    def share(self, members: Sequence[int], ranks: Ranks) -> Sequence[int]:
        """The members that this rank computes; all of them where it is alone."""
        if ranks.world == 1:
            return members
        own = [length - self.prefix for length in self.lengths]
        return shares(members, own, world=ranks.world)[ranks.rank]

    def parts(self, members: Sequence[int]) -> Share:
        """How members divide into micro-batches, and how into smaller ones."""
        return Share(members, self.lengths, self.prefix)

    def targets(self, members: Sequence[int]) -> int:
        """Supervised tokens of the members."""
        return sum(len(self.documents[i].targets) for i in members)

    def sample(self, count: int, seed: int) -> "Corpus":
        """A fixed subset of at most ``count`` documents."""
        if len(self.documents) <= count:
            return self
        chosen = np.random.default_rng(seed).choice(len(self.documents), count, replace=False)
        return replace(self, documents=[self.documents[i] for i in sorted(chosen)])


def corpus_for(model: PreTrainedModel, documents: Sequence[Document], *, dropout: float) -> Corpus:
    """The way to batch documents that gives this model the losses of separate rows.

    With dropout a shared prefix would share its noise too, so there is none then.
    """
    prefix = 0 if dropout > 0 else shared_prefix(documents)
    division = division_for(model)
    packs = is_packable(model, documents, prefix, division)
    return Corpus(documents, prefix if packs else 0, packs, division)


def is_packable(
    model: PreTrainedModel, documents: Sequence[Document], prefix: int, division: Divide = divide
) -> bool:
    """Whether the model's layers allow packs, tried on its two shortest rows."""
    lengths = lengths_of(documents)
    if not documents or not attends_fully(model, max(lengths)):
        return False
    shortest = sorted(range(len(documents)), key=lengths.__getitem__)[:2]
    pair = [documents[at] for at in shortest]
    with torch.no_grad():
        apart = hidden_at_sources(model, pad(pair).to(model.device))
        try:
            together = hidden_at_sources(model, pack(pair, prefix, division).to(model.device))
        except TypeError:  # the family does not hand keyword arguments down to its attention
            return False
    tolerance = _TOLERANCE.get(apart.dtype, _LOOSE_TOLERANCE)
    return bool((together - apart).norm() <= tolerance * apart.norm())


def check_head(model: PreTrainedModel, each: Document) -> None:
    """Make sure that the logits of the loss are the model's own.

    Raises:
        StageError: the model does something behind its head that the loss does not know.
    """
    tokens = torch.from_numpy(each.tokens[:PROBE_TOKENS])[None].to(model.device)
    with torch.no_grad():
        hidden = decoder(model)(input_ids=tokens, use_cache=False).last_hidden_state
        ours = logits_head(model)(hidden)
        own = model(input_ids=tokens, use_cache=False).logits.to(ours.dtype)
    if (ours - own).norm() > _LOOSE_TOLERANCE * own.norm():
        message = (
            f"spec.baseModel: {type(model).__name__} changes its logits in a way that training "
            "does not know yet; choose a model of another family"
        )
        raise StageError(FailureClass.INVALID_SPEC, message)


@torch.no_grad()
def mean_loss(model: PreTrainedModel, corpus: Corpus, limit: int, ranks: Ranks = ALONE) -> float:
    """Nats per supervised token over a whole corpus, which the ranks read together.

    Parts that the device does not hold are halved for this once: the next gradient is not theirs.
    """
    members = range(len(corpus.documents))
    own = corpus.share(members, ranks)

    def loss(limit: int) -> Tensor:
        total = torch.zeros((), dtype=torch.float64, device=model.device)
        for batch in feed(corpus.batches(own, limit), model.device, choices_of(model)):
            total += loss_sum(model, batch)
        return total

    total, _ = sum_that_fits(loss, corpus.parts(own), limit, ranks, what="one row to evaluate")
    return total.item() / max(1, corpus.targets(members))
