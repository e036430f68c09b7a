"""AdamW over the adapter, and its moments as named tensors for a checkpoint."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import AdamW

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def adamw(parameters: Mapping[str, nn.Parameter], *, weight_decay: float) -> AdamW:
    """The optimizer; the schedule sets its rate before every step."""
    return AdamW(parameters.values(), lr=0.0, weight_decay=weight_decay, fused=True)


def moments(optimizer: AdamW, parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """The optimizer's state as ``<moment>.<parameter>``; empty before the first step."""
    return {
        f"{moment}.{name}": optimizer.state[each][moment].detach().to("cpu", copy=True)
        for name, each in parameters.items()
        for moment in _MOMENTS
        if each in optimizer.state
    }


def restore_moments(
    optimizer: AdamW, parameters: Mapping[str, nn.Parameter], saved: Mapping[str, Tensor]
) -> None:
    """Set the optimizer's state to what ``moments`` returned."""
    for name, each in parameters.items():
        if f"step.{name}" in saved:
            optimizer.state[each] = {
                moment: saved[f"{moment}.{name}"].to(each.device) for moment in _MOMENTS
            }


def set_rate(optimizer: AdamW, rate: float) -> None:
    """Use this learning rate for the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def clip(parameters: Mapping[str, nn.Parameter], max_norm: float) -> Tensor:
    """Scale the gradients down to ``max_norm`` (0: never); returns the norm before."""
    limit = max_norm if max_norm > 0 else float("inf")
    return torch.nn.utils.clip_grad_norm_(list(parameters.values()), limit)
