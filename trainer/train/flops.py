"""How much of the hardware's arithmetic training uses: model FLOPs utilisation, MFU.

Counts what the model's definition asks for each token of the data, not what this trainer computes:
a shared prefix counts in every row, and a recomputation would not count. Adapters are left out;
they are a few percent.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import cast

import torch
from torch import nn
from transformers import PreTrainedModel

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.model.load import output_layer
from trainer.train.documents import Document

LORA_PASSES = 4
"""FLOPs per parameter and token: 2 forward, 2 for the gradient of the inputs. A frozen matrix has
no gradient of its own, which is 2 more in full training (Kaplan et al. 2020, section 2.1)."""
ATTENTION_PASSES = 12
"""FLOPs per layer, width and pair of tokens: two products of 2 forward, twice that backward; they
have no weights, so LoRA saves nothing there (Chowdhery et al. 2022, appendix B)."""
_MATRIX_DIMENSIONS = 2
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")

PEAK_FLOPS: tuple[tuple[str, float], ...] = (
    ("B200", 2250e12),
    ("GH200", 989e12),
    ("H200 NVL", 835e12),
    ("H200", 989e12),
    ("H100 NVL", 835e12),
    ("H100 PCIe", 756e12),
    ("H100", 989e12),
    ("H20", 148e12),
    ("H800", 989e12),
    ("A800", 312e12),
    ("A100", 312e12),
    ("A40", 149.7e12),
    ("A30", 165e12),
    ("A10G", 70e12),
    ("A10", 125e12),
    ("L40S", 362e12),
    ("L40", 181e12),
    ("L4", 121e12),
    ("T4", 65e12),
    ("V100", 125e12),
    ("RTX 4090", 165.2e12),
    ("RTX 3090", 71.2e12),
    ("RTX A6000", 154.8e12),
)
"""Dense BF16 FLOP/s with sums in FP32, without sparsity, by the words of a device's name.

From NVIDIA's data sheets of each product (those that list sparsity only are halved). T4 and V100
have no BF16: theirs is FP16. The first entry whose words are all in the name counts.
"""


PEAK_ENV = "DEVICE_PEAK_FLOPS"
"""The peak of a device that the table does not know, as ``spec.compute.env`` tells it."""


@dataclass(frozen=True)
class Shape:
    """What of a model multiplies."""

    body: int
    """Parameters that every token meets."""
    head: int
    """Parameters that only tokens with a loss meet."""
    layers: int
    width: int
    """Of all query heads together."""


def shape_of(model: PreTrainedModel) -> Shape | None:
    """None for mixtures of experts: a token does not meet all of their parameters."""
    config = model.config.get_text_config()
    if any(getattr(config, name, None) for name in _EXPERTS):
        return None
    head = cast("nn.Parameter", output_layer(model).weight)
    lookups = {id(each.weight) for each in model.modules() if isinstance(each, nn.Embedding)}
    body = sum(
        each.numel()
        for each in model.parameters()
        if _is_frozen_matrix(each) and id(each) not in {*lookups, id(head)}
    )
    heads = config.num_attention_heads
    head_width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return Shape(
        body=body,
        head=head.numel(),
        layers=config.num_hidden_layers,
        width=heads * head_width,
    )


def _is_frozen_matrix(parameter: nn.Parameter) -> bool:
    return not parameter.requires_grad and parameter.dim() >= _MATRIX_DIMENSIONS


def flops(shape: Shape, length: int, targets: int) -> float:
    """Of training on one row of ``length`` tokens, ``targets`` of which carry loss.

    ``4 N`` per token, and attention over the tokens before each.
    """
    matrices = LORA_PASSES * (shape.body * length + shape.head * targets)
    pairs = length * (length + 1) / 2
    return matrices + ATTENTION_PASSES * shape.layers * shape.width * pairs


def flops_per_token(shape: Shape, documents: Sequence[Document]) -> float:
    """The mean over the tokens of the data."""
    total = sum(flops(shape, len(each), len(each.targets)) for each in documents)
    return total / max(1, sum(len(each) for each in documents))


def peak_flops(device_name: str) -> float | None:
    """The most that a device does a second; None where it is not known."""
    words = set(re.split(r"[\s_-]+", device_name.upper()))
    for name, peak in PEAK_FLOPS:
        if words.issuperset(name.upper().split()):
            return peak
    return None


def told_peak(environ: Mapping[str, str]) -> float | None:
    """Of a device, from the environment; None where nothing is told.

    Raises:
        StageError: what is told is no positive number.
    """
    text = environ.get(PEAK_ENV, "")
    if not text:
        return None
    try:
        peak = float(text)
    except ValueError:
        peak = 0.0
    if not 0 < peak < inf:
        message = f"spec.compute.env: {PEAK_ENV} is {text!r}; it is a device's FLOP/s, as 989e12"
        raise StageError(FailureClass.INVALID_SPEC, message)
    return peak


def full_speed(
    model: PreTrainedModel,
    documents: Sequence[Document],
    *,
    devices: int,
    environ: Mapping[str, str] = os.environ,
) -> float | None:
    """Tokens per second at the devices' peak; None where that is not known.

    Raises:
        StageError: see ``told_peak``.
    """
    peak = told_peak(environ) or peak_flops(device_name(model.device))
    shape = shape_of(model)
    if peak is None or shape is None or not documents:
        return None
    return peak * devices / flops_per_token(shape, documents)


def device_name(device: torch.device) -> str:
    """As the device's driver gives it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def utilisation(tokens_per_second: float, full_speed: float | None) -> float | None:
    """MFU, a share of 1."""
    return None if full_speed is None else tokens_per_second / full_speed
