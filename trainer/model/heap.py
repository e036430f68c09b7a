"""Large tensors on the CPU give their memory back when they go.

glibc raises the size from which it maps memory apart, up to 32 MiB, as such blocks are freed; then
activations lie in the heap, whose holes are not given back. One micro-batch of 942 tokens of
SmolLM2-135M left 2,001 MiB behind instead of 765, and the second one took 2,945 instead of 2,087.
"""

import ctypes
from contextlib import suppress

M_MMAP_THRESHOLD = -3
"""malloc.h; setting it also ends the raising."""
THRESHOLD_BYTES = 1 << 20


def map_large_blocks() -> bool:
    """Let malloc map every block of a MiB or more by itself; whether this libc can."""
    with suppress(OSError, AttributeError):  # musl has no mallopt, and no heap that grows so
        return bool(ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, THRESHOLD_BYTES))
    return False
