"""How vLLM serves an adapter, in words and as its settings. Pure."""

from trainer.contract.spec import Lora

MAX_LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Values of --max-lora-rank (vllm/config/lora.py, MaxLoRARanks); one serves all ranks up to it."""


def max_lora_rank(rank: int) -> int | None:
    """The smallest --max-lora-rank that serves it; None: there is none."""
    return next((one for one in MAX_LORA_RANKS if rank <= one), None)


def serving(lora: Lora) -> str:
    """What a model card says of it."""
    if lora.variant == "DoRA":
        return (
            "vLLM serves no DoRA adapters; with `output.merged: true` the job also writes a model "
            "with the adapter merged into it."
        )
    return (
        f"vLLM serves it with `--enable-lora --max-lora-rank {max_lora_rank(lora.rank)}`, where it "
        "serves the base model's family with LoRA."
    )
