"""Random weights for a tiny model, as safetensors; needs torch."""

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, PreTrainedConfig

TINY = {
    "vocab_size": 128,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
}


def make_model(directory: Path, config: PreTrainedConfig | None = None, *, seed: int = 0) -> None:
    """Write weights for ``config``, else for the directory's config.json, else for a tiny Llama."""
    if config is None and (directory / "config.json").exists():
        config = AutoConfig.from_pretrained(directory)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config or LlamaConfig(**TINY))
        for parameter in model.parameters():
            # Far from the usual start, so that tokens of other rows would show in the loss.
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(directory)
