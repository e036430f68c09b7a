"""In what precision an FP32 adapter multiplies on a base model in BF16."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from peft.helpers import disable_input_dtype_casting
from transformers import PreTrainedModel

from trainer.model.hardware import choices_of


@contextmanager
def adapter_precision(model: PreTrainedModel) -> Iterator[None]:
    """While a GPU computes forward, the adapter's weights are cast to BF16, not its inputs to FP32.

    peft does the latter. Its multiplications then miss the tensor cores, and backward keeps an FP32
    copy of the input of every layer.
    """
    if not choices_of(model).autocast:
        yield
        return
    with disable_input_dtype_casting(model), torch.autocast(model.device.type, torch.bfloat16):
        yield
