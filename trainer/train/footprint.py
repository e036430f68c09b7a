"""What a train stage takes of the host's memory at its peak, and whether there is so much.

Estimated from the shapes in the headers of the weights, before any of them is read. Refused is only
what surely has no room: the kernel would kill it later.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from trainer.contract.failures import FailureClass
from trainer.contract.spec import Lora
from trainer.data.prepared import Prepared
from trainer.errors import StageError
from trainer.hostmemory import MemoryLimit, memory_limit
from trainer.train.settings import MICRO_TOKENS

LIBRARIES_BYTES = 450 << 20
"""Anonymous memory of Python, torch, transformers and peft before a model is there; measured."""
WEIGHT_BYTES = {"FP32": 4, "BF16": 2}
ADAPTER_COPIES = 5
"""FP32 numbers for each of the adapter's: itself, gradient, two moments, the best one."""
KEPT_PER_LINEAR = {"FP32": (0.79, 1.65, 2.2, 2.7), "BF16": (1.85, 2.6, 3.5, 4.9)}
"""Numbers kept for the backward pass, per token and per input and output of a linear layer.

Of LoRA, with dropout, of DoRA, and of both, in Llama and Qwen with packs (0.72 padded).
Only the first is of fused layers; of BF16's numbers, as peft keeps FP32 copies of a layer's inputs.
GPT-2 keeps 1.86. Heads that share no keys, as with many threads, add up to a tenth.
"""
LOGITS_AT_ONCE = 256
LOGIT_COPIES = 3
"""FP32: the logits, their log-softmax, their gradient."""
SURELY = 0.9
"""Of the estimate, which may be off by some percent: nobody is refused for that."""
_EMBEDDINGS = ("embed", "wte", "wpe", "lm_head")
_MATRIX = 2
GIB = 1 << 30

Shapes = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Footprint:
    """The parts, in bytes."""

    libraries: int
    weights: int
    adapter: int
    activations: int
    logits: int

    @property
    def peak(self) -> int:
        """All of them at once, in the backward pass of a full micro-batch."""
        return self.libraries + self.weights + self.adapter + self.activations + self.logits


def footprint(shapes: Shapes, *, precision: str, lora: Lora, tokens: int) -> Footprint:
    """Training on the CPU, by the shapes of all weights.

    Args:
        shapes: Of every tensor of the base model.
        precision: FP32 or BF16.
        lora: The adapter, on every linear layer.
        tokens: Of the largest micro-batch.
    """
    size = WEIGHT_BYTES[precision]
    ends = sum(sum(shape) for name, shape in shapes.items() if _is_linear(name, shape))
    vocabulary = max((shape[0] for name, shape in shapes.items() if _is_embedding(name)), default=0)
    return Footprint(
        libraries=LIBRARIES_BYTES,
        weights=size * sum(prod(shape) for shape in shapes.values()),
        adapter=4 * ADAPTER_COPIES * lora.rank * ends,
        activations=int(kept_per_linear(precision, lora) * size * tokens * ends),
        logits=4 * LOGIT_COPIES * LOGITS_AT_ONCE * vocabulary,
    )


def kept_per_linear(precision: str, lora: Lora) -> float:
    """See ``KEPT_PER_LINEAR``."""
    return KEPT_PER_LINEAR[precision][bool(float(lora.dropout)) + 2 * (lora.variant == "DoRA")]


def weight_shapes(directory: Path) -> dict[str, Sequence[int]]:
    """Name and shape of every tensor, from the headers of the files that would be loaded."""
    return dict(pair for path in weight_files(directory) for pair in _header(path))


def weight_files(directory: Path) -> list[Path]:
    """As transformers chooses: one file of the usual name, else those of the index."""
    whole, index = directory / "model.safetensors", directory / "model.safetensors.index.json"
    if whole.exists():
        return [whole]
    if index.exists():
        named = json.loads(index.read_bytes())["weight_map"].values()
        return [directory / name for name in sorted(set(named))]
    return sorted(directory.glob("*.safetensors"))


def require_memory(
    directory: Path, prepared: Prepared, lora: Lora, precision: str, ranks: int
) -> None:
    """Fail before the weights are read where the kernel would end the stage later.

    Raises:
        StageError: HOST_OUT_OF_MEMORY, with the figures.
    """
    needed = footprint(
        weight_shapes(directory), precision=precision, lora=lora, tokens=tokens_of(prepared)
    )
    require_room(needed, memory_limit(), ranks=ranks)


def tokens_of(prepared: Prepared) -> int:
    """Of the largest micro-batch: a row is never divided."""
    plan = prepared.plan
    full = min(plan.batch_tokens, plan.data.tokens, MICRO_TOKENS["cpu"])
    return max(full, prepared.train.longest())


def require_room(needed: Footprint, limit: MemoryLimit | None, *, ranks: int = 1) -> None:
    """Compare, and say the figures.

    Raises:
        StageError: HOST_OUT_OF_MEMORY, with the figures.
    """
    total = needed.peak * ranks
    if limit is None or SURELY * total <= limit.bytes:
        return
    processes = f"{ranks} processes need" if ranks > 1 else "training needs"
    message = (
        f"{processes} about {_gib(total)} GiB of memory (base model {_gib(needed.weights)}, "
        f"activations {_gib(needed.activations)}, adapter {_gib(needed.adapter)} each) and "
        f"{limit.source} {_gib(limit.bytes)} GiB; set spec.compute.resources.limits.memory to "
        f"{-(-total * 5 // (4 * GIB))}Gi or more, or lower spec.training.maxSequenceTokens or "
        "spec.lora.rank"
    )
    raise StageError(FailureClass.HOST_OUT_OF_MEMORY, message)


def _header(path: Path) -> Iterator[tuple[str, Sequence[int]]]:
    """A safetensors file begins with the length of its header, then the header."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    for name, entry in header.items():
        if name != "__metadata__":
            yield name, entry["shape"]


def _is_embedding(name: str) -> bool:
    return any(part in name for part in _EMBEDDINGS)


def _is_linear(name: str, shape: Sequence[int]) -> bool:
    return len(shape) == _MATRIX and not _is_embedding(name)


def _gib(count: int) -> str:
    return f"{count / GIB:.2g}"
