"""Cross-entropy at supervised places only, a chunk of the vocabulary's logits at a time."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn.functional import cross_entropy, log_softmax
from transformers import PreTrainedModel

from trainer.model.attention import packed_attention
from trainer.model.autocast import adapter_precision
from trainer.model.load import decoder, output_layer
from trainer.train.batch import Batch

CHUNK = 256
"""Places per chunk: 50 MB of fp32 logits at a vocabulary of 49,152, 150 MB at 150,000."""

Head = Callable[[Tensor], Tensor]


def logits_head(model: PreTrainedModel) -> Head:
    """Hidden states to logits, with the scalings that model families put behind the head."""
    linear, config = output_layer(model), model.config
    cap = getattr(config, "final_logit_softcapping", None)
    scale = (getattr(config, "logit_scale", None) or 1.0) / (
        getattr(config, "logits_scaling", None) or 1.0
    )

    def head(hidden: Tensor) -> Tensor:
        logits: Tensor = linear(hidden)
        logits = logits if scale == 1.0 else logits * scale
        logits = logits if cap is None else torch.tanh(logits / cap) * cap
        return logits if logits.dtype == torch.float64 else logits.float()

    return head


class _ChunkedLoss(torch.autograd.Function):
    """Sum of cross-entropies; keeps the gradient of the hidden states instead of the logits.

    The head is frozen, so that gradient is all that backward needs, and no chunk is computed twice.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, hidden: Tensor, targets: Tensor, head: Head) -> Tensor:
        total = hidden.new_zeros((), dtype=torch.promote_types(hidden.dtype, torch.float32))
        gradients = []
        for places, wanted in zip(
            torch.split(hidden, CHUNK), torch.split(targets, CHUNK), strict=True
        ):
            with torch.enable_grad():
                leaf = places.detach().requires_grad_()
                logits = head(leaf)
            loss, of_logits = _loss_and_gradient(logits.detach(), wanted)
            gradients.append(torch.autograd.grad(logits, leaf, of_logits)[0])
            total += loss
        ctx.save_for_backward(torch.cat(gradients))
        return total

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401 - torch's context
        (gradient,) = ctx.saved_tensors
        return gradient * outputs[0].to(gradient.dtype), None, None


def _loss_and_gradient(logits: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of the cross-entropies, and its gradient, softmax minus the target.

    In the place of the log-probabilities: autograd would hold four tensors of this size, not two.
    """
    gradient = log_softmax(logits, dim=-1)
    loss = -gradient.gather(1, wanted[:, None]).sum()
    gradient.exp_()
    gradient.scatter_add_(1, wanted[:, None], gradient.new_full((len(wanted), 1), -1.0))
    return loss, gradient


def chunked_loss(hidden: Tensor, targets: Tensor, head: Head) -> Tensor:
    """Sum over (places, width) hidden states of the cross-entropy with ``targets``, in nats."""
    if hidden.requires_grad:
        return _ChunkedLoss.apply(hidden, targets, head)  # type: ignore[no-any-return]
    pairs = zip(torch.split(hidden, CHUNK), torch.split(targets, CHUNK), strict=True)
    losses = [cross_entropy(head(places), wanted, reduction="sum") for places, wanted in pairs]
    return torch.stack(losses).sum()


def hidden_at_sources(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Last hidden states at the places that predict a supervised token, (places, width)."""
    extra = {} if batch.segments is None else {"segments": batch.segments}
    packs = nullcontext() if batch.segments is None else packed_attention(model)
    with packs, adapter_precision(model):
        output = decoder(model)(
            input_ids=batch.input_ids,
            position_ids=batch.position_ids,
            use_cache=False,
            **extra,
        )
    hidden: Tensor = output.last_hidden_state
    return hidden.flatten(0, 1).index_select(0, batch.sources)


def loss_sum(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Sum of the cross-entropies of the batch's supervised tokens, in nats."""
    return chunked_loss(hidden_at_sources(model, batch), batch.targets, logits_head(model))
