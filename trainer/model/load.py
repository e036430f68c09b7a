"""The base model in memory."""

from pathlib import Path
from typing import Literal, cast

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

Precision = Literal["FP32", "BF16"]

_DTYPES = {"FP32": torch.float32, "BF16": torch.bfloat16}


def pick_device(gpus: int) -> str:
    """Where to compute: the first GPU when the job asked for any."""
    return "cuda" if gpus > 0 and torch.cuda.is_available() else "cpu"


def pick_precision(wanted: str, device: str) -> Precision:
    """Resolve Auto: BF16 where the hardware multiplies it, else FP32.

    A CPU without avx512_bf16 or AMX emulates BF16 at a fraction of the speed of FP32.
    """
    if wanted == "FP32":
        return "FP32"
    if wanted == "BF16":
        return "BF16"
    return "BF16" if _multiplies_bf16(device) else "FP32"


def _multiplies_bf16(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def load_base(directory: Path, *, precision: str, device: str) -> PreTrainedModel:
    """The model of a directory: safetensors only, no code from it, frozen, in eval mode."""
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        directory,
        dtype=_DTYPES[precision],
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
