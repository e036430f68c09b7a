"""What a run will need: steps, answers, memory. Rough figures from plain formulas."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainer.contract.spec import ArmName
from trainer.data.resolve import hidden_size, value_of

FREE_ARMS = frozenset({"MajorityLabel", "NearestRow"})
ACTIVATION_BYTES = 68
"""Per token, layer and unit of width in FP32; half of it in 16 bits.

Source: Korthikanti et al. 2022, section 4.1, arXiv:2205.05198 (34 in 16 bits, without scores).
"""
MICRO_BATCH_TOKENS = 2048
ADAPTER_SHARE = 0.05
"""Adapter, gradients and Adam's moments together, as a share of the weights: rank 16 to 32."""


def step_count(tokens: int, batch_tokens: int, max_steps: int | None) -> int:
    """Optimizer steps over all epochs."""
    steps = math.ceil(tokens / batch_tokens)
    return min(steps, max_steps) if max_steps is not None else steps


def answer_count(arms: Sequence[ArmName], test_rows: int) -> int:
    """Answers that a model has to generate: each arm that asks one, and the tuned model."""
    return test_rows * (1 + sum(arm not in FREE_ARMS for arm in arms))


def peak_memory_bytes(
    directory: Path, config: Mapping[str, object], *, batch_tokens: int, longest_row: int
) -> int:
    """Weights, adapter and the activations of one micro-batch."""
    weights = sum(path.stat().st_size for path in directory.glob("*.safetensors"))
    layers = value_of(config, "num_hidden_layers")
    tokens = max(longest_row, min(batch_tokens, MICRO_BATCH_TOKENS))
    depth = layers if isinstance(layers, int) else 1
    activations = tokens * depth * hidden_size(config) * ACTIVATION_BYTES
    return int(weights * (1 + ADAPTER_SHARE)) + activations
