"""In which arithmetic the base model computes."""

import time
from collections.abc import Callable
from statistics import median
from typing import Literal, get_args

import torch
from torch.nn.functional import linear

Precision = Literal["FP32", "BF16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

DTYPES = {"FP32": torch.float32, "BF16": torch.bfloat16}

ROWS, WIDTH, COLUMNS = 256, 576, 1536
"""One layer of a small model with a micro-batch of rows."""
MULTIPLICATIONS = 10
ROUNDS = 5
CLEARLY = 1.1
"""BF16 has to be so much faster: FP32 is the more exact of the two."""


def pick_precision(
    wanted: str, device: str, clock: Callable[[], float] = time.perf_counter
) -> Precision:
    """Resolve Auto: BF16 where the hardware multiplies it, and faster, else FP32.

    A CPU without avx512_bf16 or AMX emulates BF16 at a fraction of the speed of FP32. One with them
    reached the same losses in BF16, on SmolLM2-135M with an FP32 adapter.
    """
    if wanted == "FP32":
        return "FP32"
    if wanted == "BF16":
        return "BF16"
    if not multiplies_bf16(device):
        return "FP32"
    return "BF16" if device == "cuda" or is_bf16_faster(clock) else "FP32"


def multiplies_bf16(device: str) -> bool:
    """Whether the device has instructions for it."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def is_bf16_faster(clock: Callable[[], float] = time.perf_counter) -> bool:
    """Whether this CPU, as busy as it is, multiplies BF16 clearly faster; in alternation."""
    rounds = [
        (seconds(torch.float32, clock), seconds(torch.bfloat16, clock)) for _ in range(ROUNDS)
    ]
    return median(slow / fast for slow, fast in rounds) >= CLEARLY


def seconds(dtype: torch.dtype, clock: Callable[[], float]) -> float:
    """Time of a few multiplications."""
    rows = torch.ones(ROWS, WIDTH, dtype=dtype)
    weight = torch.ones(COLUMNS, WIDTH, dtype=dtype)
    linear(rows, weight)  # the first one prepares
    start = clock()
    for _ in range(MULTIPLICATIONS):
        linear(rows, weight)
    return clock() - start
