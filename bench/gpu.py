"""How fast is a step of training on this GPU? A model of a known shape with random weights.

Builds the model on the device and downloads nothing: an 8B-class Llama, LoRA of rank 16 on every
linear layer, packs of 8,192 tokens, through the trainer's own loop. Prints Markdown: tokens/s, MFU,
memory, how often a step waited for the GPU. `--shape tiny --device cpu` tries the script itself.
Usage: PYTHONPATH=. python bench/gpu.py [--shape S] [--device D] [--steps N] [--json FILE] ...
"""

import argparse
import json
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, LlamaConfig

from trainer.contract.spec import Lora
from trainer.model.adapter import attach, base_of, trainable
from trainer.model.attention import divide
from trainer.model.hardware import choices_of
from trainer.model.ragged import division_for
from trainer.report.model import LossPoint
from trainer.train.corpus import Corpus
from trainer.train.documents import Document
from trainer.train.flops import Shape, flops_per_token, peak_flops, shape_of
from trainer.train.loop import Training
from trainer.train.optimizer import adamw
from trainer.train.plan import Step
from trainer.train.settings import TrainSettings
from trainer.train.state import TrainState

SHAPES: dict[str, dict[str, Any]] = {
    # meta-llama/Meta-Llama-3-8B, config.json
    "llama-3-8b": {
        "vocab_size": 128256,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0},
        "tie_word_embeddings": False,
    },
    "tiny": {
        "vocab_size": 512,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": False,
    },
}
SHORTEST, LONGEST = 256, 2048
"""Tokens of a row."""
SETTINGS = TrainSettings(
    epochs=1,
    max_steps=None,
    batch_tokens=0,
    learning_rate=1e-4,
    scheduler="Constant",
    warmup_percent=0,
    weight_decay=0.0,
    max_grad_norm=1.0,
    seed=17,
    patience=0,
    min_delta=0.0,
    checkpoint_period_s=1e9,
    dropout=0.0,
)


@dataclass(frozen=True)
class Measured:
    """What came of it."""

    shape: str
    device: str
    versions: dict[str, str]
    attention: str
    precision: str
    parameters: int
    trained_parameters: int
    batch_tokens: int
    micro_tokens: int
    """Computed at a time; less than the batch where the memory did not hold it."""
    rows: float
    """In a step, on average."""
    steps: int
    seconds_per_step: float
    tokens_per_second: float
    flops_per_token: float
    peak_flops: float | None
    mfu_percent: float | None
    weights_bytes: int | None
    peak_bytes: int | None
    waits: list[str] | None
    """Where two steps waited for the GPU; None: not a GPU."""
    losses: list[float]


def row_lengths(tokens: int, noise: np.random.Generator) -> list[int]:
    """Rows that are ``tokens`` together."""
    lengths: list[int] = []
    while (left := tokens - sum(lengths)) > 0:
        lengths.append(min(left, int(noise.integers(SHORTEST, LONGEST + 1))))
    return lengths


def rows_of(lengths: Sequence[int], vocabulary: int, noise: np.random.Generator) -> list[Document]:
    """Rows of random tokens, each of which but the first carries loss."""
    return [
        Document(noise.integers(0, vocabulary, length), np.arange(1, length)) for length in lengths
    ]


def peak_of(name: str, given_tflops: float | None) -> float | None:
    """FLOP/s that the device could do at most."""
    if given_tflops is not None:
        return given_tflops * 1e12
    return peak_flops(name.partition(",")[0])  # its memory is no part of the name


def build(told: argparse.Namespace, device: torch.device) -> PeftModel:
    """The model with random weights, made where it is computed."""
    dtype = torch.bfloat16 if told.precision == "BF16" else torch.float32
    torch.manual_seed(told.seed)
    with torch.device(device):
        base = AutoModelForCausalLM.from_config(
            LlamaConfig(**SHAPES[told.shape]), dtype=dtype, attn_implementation="sdpa"
        )
    base.requires_grad_(requires_grad=False)
    base.eval()
    return attach(base, Lora(rank=told.rank, alpha=2 * told.rank), seed=told.seed)


def prepare(model: PeftModel, told: argparse.Namespace, count: int) -> Training:
    """A training of ``count`` steps of packed rows."""
    base, noise = base_of(model), np.random.default_rng(told.seed)
    windows = [row_lengths(told.batch_tokens, noise) for _ in range(count)]
    lengths = [length for window in windows for length in window]
    ends = np.cumsum([0, *(len(window) for window in windows)])
    division = divide if told.attention == "PerDocument" else division_for(base)
    return Training(
        model=model,
        settings=replace(SETTINGS, batch_tokens=told.batch_tokens, seed=told.seed),
        train=Corpus(rows_of(lengths, base.config.vocab_size, noise), division=division),
        validation=Corpus([]),
        steps=[Step(tuple(range(ends[at], ends[at + 1])), (at + 1) / count) for at in range(count)],
        optimizer=adamw(trainable(model), weight_decay=0.0),
        state=TrainState(
            fingerprint="",
            precision=told.precision,
            device=base.device.type,
            micro_tokens=told.micro_tokens or told.batch_tokens,
            max_steps=count,
        ),
        clock=time.monotonic,
    )


def timed(training: Training, steps: int) -> list[float]:
    """Seconds of each step; each waits for the one before, the last for itself."""
    seconds = []
    for number in range(steps):
        started_s = time.perf_counter()
        training.step()
        if number + 1 == steps:
            training.settle()
        seconds.append(time.perf_counter() - started_s)
    return seconds


def waits_of(step: Callable[[], object]) -> list[str]:
    """What torch reports when something in two steps waits for the GPU, and where."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            step()
            step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    found = (each for each in caught if "synchroniz" in str(each.message))
    return [f"{each.filename}:{each.lineno}: {each.message}" for each in found]


def measure(told: argparse.Namespace) -> Measured:
    """Build, warm up, time, look for waits."""
    device = torch.device(told.device)
    on_gpu = device.type == "cuda"
    model = build(told, device)
    weights_bytes = torch.cuda.memory_allocated() if on_gpu else None
    training = prepare(model, told, told.warmup + told.steps + 2)
    timed(training, told.warmup)
    seconds = timed(training, told.steps)
    peak_bytes = torch.cuda.max_memory_allocated() if on_gpu else None
    waits = waits_of(training.step) if on_gpu else None
    training.settle()
    return figures(told, training, seconds, (weights_bytes, peak_bytes), waits)


def figures(
    told: argparse.Namespace,
    training: Training,
    seconds: Sequence[float],
    memory: tuple[int | None, int | None],
    waits: list[str] | None,
) -> Measured:
    """Everything that is worth keeping."""
    base = base_of(training.model)
    windows = [
        [training.train.documents[at] for at in step.documents]
        for step in training.steps[told.warmup : told.warmup + told.steps]
    ]
    rows = [row for window in windows for row in window]
    tokens, name = sum(map(len, rows)), device_name(base.device)
    work = flops_per_token(cast("Shape", shape_of(base)), rows)
    peak = peak_of(name, told.peak_tflops)
    varlen = training.train.division is not divide
    return Measured(
        shape=told.shape,
        device=name,
        versions=versions(),
        attention="Varlen" if varlen else "PerDocument",
        precision=told.precision + (" with autocast" if choices_of(base).autocast else ""),
        parameters=sum(each.numel() for each in base.parameters() if not each.requires_grad),
        trained_parameters=sum(each.numel() for each in training.parameters.values()),
        batch_tokens=told.batch_tokens,
        micro_tokens=training.state.micro_tokens,
        rows=sum(map(len, windows)) / len(windows),
        steps=told.steps,
        seconds_per_step=median(seconds),
        tokens_per_second=tokens / sum(seconds),
        flops_per_token=work,
        peak_flops=peak,
        mfu_percent=100 * work * tokens / sum(seconds) / peak if peak else None,
        weights_bytes=memory[0],
        peak_bytes=memory[1],
        waits=waits,
        losses=losses_of(training),
    )


def losses_of(training: Training) -> list[float]:
    """Of every step so far."""
    points = map(LossPoint.model_validate_json, training.metrics.splitlines())
    return [point.train_loss for point in points if point.train_loss is not None]


def device_name(device: torch.device) -> str:
    """As its maker calls it."""
    if device.type != "cuda":
        return platform.processor() or platform.machine()
    found = torch.cuda.get_device_properties(device)
    return f"{found.name}, {found.total_memory / 2**30:.1f} GiB"


def versions() -> dict[str, str]:
    """What the figures depend on."""
    found = {"python": platform.python_version()}
    found |= {name: metadata.version(name) for name in ("torch", "transformers", "peft", "numpy")}
    if torch.cuda.is_available():
        found["cuda"] = str(torch.version.cuda)
        found["cudnn"] = str(torch.backends.cudnn.version())
    return found


def lines_of(found: Measured) -> Iterator[str]:
    """The figures for people, as Markdown."""
    yield f"## {found.shape} on {found.device}"
    yield ""
    yield ", ".join(f"{name} {version}" for name, version in found.versions.items())
    yield ""
    yield "| what | figure |"
    yield "|---|---|"
    for what, figure in cells(found):
        yield f"| {what} | {figure} |"
    yield from (f"waited: {wait}" for wait in sorted(set(found.waits or [])))


def cells(found: Measured) -> Iterator[tuple[str, str]]:
    """Name and figure of each line."""
    yield "attention, precision", f"{found.attention}, {found.precision}"
    yield "weights, of them trained", f"{found.parameters:,}, {found.trained_parameters:,}"
    yield "tokens of a step, at a time", f"{found.batch_tokens:,}, {found.micro_tokens:,}"
    yield "rows of a step, steps timed", f"{found.rows:.1f}, {found.steps}"
    yield "seconds of a step, median", f"{found.seconds_per_step:.4f}"
    yield "tokens/s", f"{found.tokens_per_second:,.0f}"
    yield "GFLOP for a token (4 N + attention)", f"{found.flops_per_token / 1e9:.3f}"
    yield "MFU", mfu_text(found)
    yield (
        "memory of the weights, at the peak",
        f"{gib(found.weights_bytes)}, {gib(found.peak_bytes)}",
    )
    yield (
        "waits for the GPU in two steps",
        "no GPU" if found.waits is None else str(len(found.waits)),
    )
    yield "loss, first and last step", f"{found.losses[0]:.4f}, {found.losses[-1]:.4f}"


def mfu_text(found: Measured) -> str:
    """The share of the device's peak, or why there is none."""
    if found.mfu_percent is None or found.peak_flops is None:
        return "unknown: say --peak-tflops"
    return f"{found.mfu_percent:.1f} % of {found.peak_flops / 1e12:,.0f} TFLOP/s"


def gib(size: int | None) -> str:
    """Bytes for people."""
    return "not measured" if size is None else f"{size / 2**30:.2f} GiB"


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="llama-3-8b")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--batch-tokens", type=int, default=8192)
    parser.add_argument("--micro-tokens", type=int, help="at a time; default: a whole step")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--precision", choices=("BF16", "FP32"), default="BF16")
    parser.add_argument("--attention", choices=("Auto", "PerDocument"), default="Auto")
    parser.add_argument("--peak-tflops", type=float, help="of the device, dense, if not known here")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--json", type=Path)
    return parser.parse_args(words)


def main() -> int:
    """Measure and print; 1 when there is no such device, or a step waited for the GPU."""
    told = arguments()
    if told.device.startswith("cuda") and not torch.cuda.is_available():
        print("no CUDA device is visible to torch; try --shape tiny --device cpu", file=sys.stderr)
        return 1
    found = measure(told)
    print("\n".join(lines_of(found)))
    if told.json:
        told.json.write_text(json.dumps(asdict(found), indent=1) + "\n", encoding="utf-8")
    return 1 if found.waits else 0


if __name__ == "__main__":
    sys.exit(main())
