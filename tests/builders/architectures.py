"""One tiny model of each family that training must be exact on; random weights, made on demand."""

from pathlib import Path

from builders.tiny_weights import TINY, make_model
from transformers import (
    Gemma2Config,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

WINDOW = 8
"""Tokens that a sliding layer looks back: fewer than the rows of the tests have."""
SMALL = TINY | {"head_dim": 8}

FAMILIES: dict[str, PreTrainedConfig] = {
    "Llama": LlamaConfig(**TINY),
    "Qwen 2": Qwen2Config(**TINY),
    "Qwen 3": Qwen3Config(**SMALL),
    "GPT-2": GPT2Config(
        vocab_size=128,
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=512,
        eos_token_id=2,
        bos_token_id=1,
    ),
    "Gemma 2": Gemma2Config(
        **SMALL, sliding_window=WINDOW, query_pre_attn_scalar=8, final_logit_softcapping=10.0
    ),
    "Mistral": MistralConfig(**SMALL, sliding_window=WINDOW),
}
"""Gemma 2 caps logits, in attention and behind the head, and slides; Mistral only slides."""
PACKED = ("Llama", "Qwen 2", "Qwen 3", "GPT-2")
"""Whose rows go into packs; the others' are padded."""


def folder_name(name: str) -> str:
    """Of the family's model."""
    return name.replace(" ", "-").lower()


def make_family(folder: Path, name: str) -> Path:
    """The directory of the family's model, made below ``folder`` when it is first asked for."""
    directory = folder / folder_name(name)
    if not directory.exists():
        make_model(directory, FAMILIES[name])
    return directory
