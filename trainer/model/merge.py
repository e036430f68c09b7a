"""The base model with the adapter's update added to its weights: a model of its own."""

import json
import shutil
from pathlib import Path
from typing import cast

import torch
from peft import LoraModel, PeftModel
from torch import nn
from transformers import PreTrainedModel

from trainer.contract.failures import FailureClass
from trainer.errors import StageError

SHARD = "5GB"
KEPT = (
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "generation_config.json",
    "LICENSE*",
)
"""Files of the base that the merged model needs as they are, by pattern."""


def check_mergeable(model: PreTrainedModel) -> None:
    """Make sure that the sum can be what was trained.

    Raises:
        StageError: the base is quantised: its weights would be rounded again with the update in
            them, and the merged model would be another one than the one that is judged.
    """
    if getattr(model.config, "quantization_config", None) is not None:
        message = (
            "spec.output.merged: the base model is quantised, and an adapter that is merged into "
            "quantised weights is no longer what was trained; use false, or a base model that is "
            "not quantised"
        )
        raise StageError(FailureClass.INVALID_SPEC, message)


def write_merged(model: PeftModel, base: Path, directory: Path) -> list[Path]:
    """Write the merged model with the base's tokenizer, in the type that the base is stored in.

    The sum is taken in the type that was computed in. The adapter is used up: its model is the
    merged one afterwards, so that no second copy has to fit into memory.
    """
    tuner = cast("LoraModel", model.base_model)
    merged = cast("PreTrainedModel", tuner.merge_and_unload(safe_merge=True))
    directory.mkdir(parents=True, exist_ok=True)
    stored = _stored_dtype(base)
    computed: torch.dtype = merged.dtype
    if stored is not None and stored.itemsize < computed.itemsize:
        nn.Module.to(merged, stored)
    merged.save_pretrained(directory, max_shard_size=SHARD)
    for pattern in KEPT:
        for path in base.glob(pattern):
            shutil.copyfile(path, directory / path.name)
    return sorted(directory.iterdir())


def _stored_dtype(base: Path) -> torch.dtype | None:
    """As config.json says; None: it does not."""
    config = json.loads((base / "config.json").read_bytes())
    found = getattr(torch, str(config.get("dtype") or config.get("torch_dtype")), None)
    return found if isinstance(found, torch.dtype) else None
