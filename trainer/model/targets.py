"""Which modules of a base model an adapter may touch, checked by name before peft sees them."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from trainer.contract.failures import FailureClass
from trainer.errors import StageError
from trainer.model.load import output_layer

ALL_LINEAR = "AllLinear"
_MATRIX_DIMENSIONS = 2


def resolve_targets(model: PreTrainedModel, wanted: Sequence[str]) -> str | list[str]:
    """The names for peft: "all-linear", or the given names once each is known to match.

    Raises:
        StageError: a name matches no linear layer, AllLinear stands beside other names or would
            skip expert weights that are no linear layers, or the output head is named.
    """
    if ALL_LINEAR in wanted:
        _check_alone(wanted)
        _check_experts(model)
        return "all-linear"
    linear = linear_names(model)
    unknown = [name for name in wanted if not any(_matches(full, name) for full in linear)]
    if unknown:
        raise StageError(FailureClass.INVALID_SPEC, _unknown_message(unknown[0], linear))
    return list(wanted)


def linear_names(model: PreTrainedModel) -> list[str]:
    """Full names of the linear layers but the output head; an adapter on them is none of them."""
    head = output_layer(model)
    return [
        name.removesuffix(".base_layer")
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and module is not head and ".lora_" not in name
    ]


def has_transposed_layers(model: PreTrainedModel) -> bool:
    """Whether the model keeps its matrices as (in, out), as GPT-2 does; peft warns if not told."""
    return any(isinstance(module, Conv1D) for module in model.modules())


def _matches(full: str, name: str) -> bool:
    return full == name or full.endswith(f".{name}")


def _check_alone(wanted: Sequence[str]) -> None:
    if len(wanted) > 1:
        message = (
            f"spec.lora.targetModules: {ALL_LINEAR} already means every linear layer; "
            "list it alone, or list only module names"
        )
        raise StageError(FailureClass.INVALID_SPEC, message)


def _check_experts(model: PreTrainedModel) -> None:
    fused = next(_fused_parameters(model), None)
    if fused is not None:
        message = (
            f"spec.lora.targetModules: {ALL_LINEAR} would skip the fused expert weights "
            f"({fused} and the like), which are no linear layers; name the modules to adapt out "
            f"of: {', '.join(_last_names(linear_names(model))[:20])}"
        )
        raise StageError(FailureClass.INVALID_SPEC, message)


def _fused_parameters(model: PreTrainedModel) -> Iterator[str]:
    """Stacked matrices held by a module that is no convolution: experts in one tensor."""
    convolutions = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    for name, module in model.named_modules():
        for part, tensor in module.named_parameters(recurse=False):
            if _is_stack(tensor) and not isinstance(module, convolutions):
                yield f"{name}.{part}"


def _is_stack(tensor: torch.Tensor) -> bool:
    return tensor.dim() > _MATRIX_DIMENSIONS and min(tensor.shape) > 1


def _last_names(linear: Sequence[str]) -> list[str]:
    return sorted({full.rpartition(".")[2] for full in linear})


def _unknown_message(name: str, linear: Sequence[str]) -> str:
    known = _last_names(linear)
    close = get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return (
        f"spec.lora.targetModules: the base model has no linear layer {name!r} that may be "
        f"adapted{hint} It has: {', '.join(known[:20])}; or use {ALL_LINEAR}"
    ).replace("adapted It", "adapted. It")
