"""What is done when the device's memory runs out: the same work again, in smaller parts.

Owns how the error is met and what is said when nothing smaller is left. How work divides is known
to whoever does it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from trainer.contract.failures import FailureClass
from trainer.errors import StageError

T = TypeVar("T")

TRAINING_REMEDY = "lower spec.training.maxSequenceTokens or spec.lora.rank, or use a larger GPU"
ANSWERING_REMEDY = (
    "lower spec.evaluation.maxNewTokens or spec.evaluation.fewShotExamples, or use a larger GPU"
)
GENERAL_REMEDY = (
    "use a smaller base model, a lower spec.lora.rank, or a larger GPU that nothing else uses"
)
_DEVICE = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""Where a library under torch was refused: no OutOfMemoryError, but the same trouble."""
_HOST = "DefaultCPUAllocator: can't allocate memory"
"""What torch says for the CPU, in an error without a class of its own."""


def unless_out_of_memory(work: Callable[[], T]) -> T | None:
    """What the work returns; None: the device's memory did not hold it.

    Only after this has returned is the memory of the attempt free: the error's traceback holds it.
    """
    try:
        return work()
    except RuntimeError as error:
        if not is_device_exhausted(error):
            raise
        return None


def is_device_exhausted(error: RuntimeError) -> bool:
    """Whether it says that the device has no more memory to give."""
    words = str(error)
    return isinstance(error, torch.OutOfMemoryError) or any(part in words for part in _DEVICE)


def give_back() -> None:
    """Let the next, smaller attempt have what the failed one left in the allocator's cache."""
    torch.cuda.empty_cache()


def too_large(what: str, remedy: str) -> StageError:
    """The failure where nothing smaller is left to try."""
    message = f"the GPU's memory does not hold {what}; {remedy}"
    return StageError(FailureClass.GPU_OUT_OF_MEMORY, message)


@contextmanager
def memory_named(doing: Callable[[], str]) -> Iterator[None]:
    """Give what runs out of memory inside the class of its failure: nothing smaller is tried.

    Raises:
        StageError: GPU_OUT_OF_MEMORY or HOST_OUT_OF_MEMORY, with what was being done.
    """
    try:
        yield
    except RuntimeError as error:
        if is_device_exhausted(error):
            raise too_large(f"all of {doing()!r}", GENERAL_REMEDY) from error
        if _HOST not in str(error):
            raise
        raise _host_exhausted(doing()) from error
    except MemoryError as error:
        raise _host_exhausted(doing()) from error


def _host_exhausted(doing: str) -> StageError:
    message = (
        f"the machine gave the stage no more memory at {doing!r}; raise the memory limit in "
        "spec.compute.resources, or lower spec.training.maxSequenceTokens"
    )
    return StageError(FailureClass.HOST_OUT_OF_MEMORY, message)
