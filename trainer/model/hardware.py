"""What a device is, and how to compute on it: properties in, choices out.

The choices are pure, so that those for a GPU are tested where there is none. Whether numbers come
in BF16 is chosen in ``load``; here their type is given.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from transformers import PreTrainedModel

MIN_CAPABILITY = (8, 0)
"""Ampere: the oldest GPUs that torch's flash kernels run on."""
MAX_WIDTH = 256
"""Of a head, for these kernels; it has to be a multiple of ``WIDTH_STEP``."""
WIDTH_STEP = 8
_HALF = (torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Hardware:
    """A device, as far as it decides how to compute."""

    kind: str
    """As torch names it: cpu, cuda."""
    name: str = ""
    capability: tuple[int, int] = (0, 0)
    is_rocm: bool = False


@dataclass(frozen=True)
class Choices:
    """How to compute."""

    attention: Literal["PerDocument", "Varlen"] = "PerDocument"
    """Of packs: SDPA for rows of like length, or one call of the flash kernel for all rows."""
    fused: bool = False
    """Layers pass over memory less often (``fused``); a GPU's own kernels were not compared."""
    autocast: bool = False
    """The FP32 adapter multiplies in BF16, so that no FP32 copy of its inputs is kept."""
    pinned: bool = False
    """Batches leave by page-locked memory, without waiting for the copy."""
    batches_ahead: int = 0
    """Batches that are on their way to the device while one is computed."""
    steps_late: int = 0
    """Steps by which loss and norm are read late, so that nothing waits for the device."""


@cache
def hardware_of(device: torch.device) -> Hardware:
    """What torch knows of a device."""
    if device.type != "cuda":
        return Hardware(device.type)
    found = torch.cuda.get_device_properties(device)
    return Hardware("cuda", found.name, (found.major, found.minor), torch.version.hip is not None)


def choices_for(hardware: Hardware, dtype: torch.dtype, head_width: int) -> Choices:
    """How to compute a model of that type with heads so wide."""
    if hardware.kind != "cuda":
        return Choices(fused=True)
    return Choices(
        attention="Varlen" if _has_varlen(hardware, dtype, head_width) else "PerDocument",
        autocast=dtype == torch.bfloat16,
        pinned=True,
        batches_ahead=1,
        steps_late=1,
    )


def choices_of(model: PreTrainedModel) -> Choices:
    """How to compute this model where it is now."""
    return choices_for(hardware_of(model.device), model.dtype, head_width(model))


def head_width(model: PreTrainedModel) -> int:
    """Of one attention head."""
    config = model.config.get_text_config()
    width: int = getattr(config, "head_dim", None) or (
        config.hidden_size // config.num_attention_heads
    )
    return width


def _has_varlen(hardware: Hardware, dtype: torch.dtype, head_width: int) -> bool:
    """Whether torch's flash kernels take rows of any length here."""
    fits = head_width <= MAX_WIDTH and head_width % WIDTH_STEP == 0
    is_able = hardware.capability >= MIN_CAPABILITY and not hardware.is_rocm
    return is_able and fits and dtype in _HALF
