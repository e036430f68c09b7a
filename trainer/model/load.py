"""The base model in memory."""

from pathlib import Path
from typing import cast

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from trainer.model.precision import DTYPES


def pick_device(gpus: int) -> str:
    """Where to compute: the first GPU when the job asked for any."""
    return "cuda" if gpus > 0 and torch.cuda.is_available() else "cpu"


def load_base(directory: Path, *, precision: str, device: str) -> PreTrainedModel:
    """The model of a directory: safetensors only, no code from it, frozen, in eval mode."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        directory,
        dtype=DTYPES[precision],
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        # No attention is named: transformers takes SDPA, or its own where SDPA cannot do what the
        # family needs (Gemma 2 caps its scores). Asked for SDPA by name, it would refuse those.
    )
    model.requires_grad_(requires_grad=False)
    model.eval()  # type: ignore[no-untyped-call]
    return nn.Module.to(model, torch.device(device))


def decoder(model: PreTrainedModel) -> nn.Module:
    """The model without its head."""
    return cast("nn.Module", model.get_decoder())  # type: ignore[no-untyped-call]


def output_layer(model: PreTrainedModel) -> nn.Module:
    """The head: last hidden states to logits."""
    return cast("nn.Module", model.get_output_embeddings())  # type: ignore[no-untyped-call]
