"""Whether vLLM serves an adapter as it lies on disk, from its files alone.

The rules are those of vLLM's PEFTHelper and LoRAModel (vllm/lora/peft_helper.py, lora_model.py)
and of its LoRAConfig, read in the code; which families it serves with LoRA is not ours to know.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.model.adapter import CONFIG, WEIGHTS
from trainer.report.serving import MAX_LORA_RANKS, max_lora_rank

TENSOR = re.compile(r"^base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight$")
MAGNITUDE = re.compile(r"^base_model\.model\..+\.lora_magnitude_vector$")
MUST_BE: dict[str, tuple[object, ...]] = {
    "bias": ("none",),
    "modules_to_save": (None, []),
    "peft_type": ("LORA",),
}
"""Refused otherwise."""
MUST_BE_EMPTY = ("rank_pattern", "alpha_pattern", "layers_to_transform", "target_parameters")
"""Read by nobody there: the adapter would be served at a wrong scale or in part."""

Shapes = Mapping[str, tuple[int, ...]]


def check_servable(directory: Path, linear: Collection[str]) -> None:
    """Make sure of an adapter before it is published; ``linear`` are the base's linear layers.

    DoRA passes: it was asked for by name, and its card says that vLLM does not serve it.

    Raises:
        StageError: vLLM would refuse it, or serve something else than what was trained.
    """
    reasons = refusals(directory, linear)
    if reasons:
        message = f"the adapter is not one that vLLM serves, so it is not published: {reasons[0]}"
        raise StageError(FailureClass.UNEXPECTED, message)


def refusals(directory: Path, linear: Collection[str]) -> list[str]:
    """Every reason why vLLM would not serve it; empty: none is known."""
    config = json.loads((directory / CONFIG).read_bytes())
    with safe_open(directory / WEIGHTS, framework="pt") as weights:
        shapes = {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118 - no mapping
    return [*_of_config(config), *_of_tensors(config, shapes, linear)]


def _of_config(config: Mapping[str, Any]) -> Iterator[str]:
    if max_lora_rank(config["r"]) is None:
        yield f"rank {config['r']} is above {MAX_LORA_RANKS[-1]}"
    for name, allowed in MUST_BE.items():
        if config.get(name) not in allowed:
            yield f"{name} is {config.get(name)!r}, not {allowed[0]!r}"
    for name in MUST_BE_EMPTY:
        if config.get(name):
            yield f"{name} is set"
    if not isinstance(config["target_modules"], list):
        yield "target_modules is a pattern, not a list of names"


def _of_tensors(
    config: Mapping[str, Any], shapes: Shapes, linear: Collection[str]
) -> Iterator[str]:
    sides: dict[str, set[str]] = {}
    for name, shape in shapes.items():
        found = TENSOR.match(name)
        if found is None:
            if not (config.get("use_dora") and MAGNITUDE.match(name)):
                yield f"{name} is no LoRA weight of a linear layer"
            continue
        sides.setdefault(found["module"], set()).add(found["side"])
        if shape[0 if found["side"] == "A" else 1] != config["r"]:
            yield f"{name} has shape {shape}, which is not of rank {config['r']}"
    for module, both in sides.items():
        if module not in linear:
            yield f"{module} is no linear layer of the base model"
        if both != {"A", "B"}:
            yield f"{module} has only lora_{both.pop()}"
    if not sides:
        yield "it has no weights"
