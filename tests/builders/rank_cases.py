"""What one and several ranks must agree on, computed by each; a program that torchrun starts.

``torchrun -m builders.rank_cases FOLDER`` leaves files ``rank-<n> ...`` in a folder that has a
model in ``base``; transformers lets only one of several ranks write one.
"""

import json
import math
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from builders.short_memory import ShortDevice, larger_than, never
from builders.training import RUN, Bench, StoppingAt, documents
from peft import PeftModel
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import AdamW

from trainer.contract.failures import FailureClass
from trainer.contract.limit import SoftLimit
from trainer.contract.spec import Lora
from trainer.errors import StageError
from trainer.limit import TimeLimit
from trainer.model.adapter import attach, base_of, copy_weights, trainable
from trainer.model.load import load_base
from trainer.store import layout
from trainer.train import corpus, loop
from trainer.train.allowance import Allowance
from trainer.train.corpus import Corpus, corpus_for, mean_loss
from trainer.train.documents import Document
from trainer.train.loop import Training
from trainer.train.loss import loss_sum
from trainer.train.plan import Step
from trainer.train.ranks import ALONE, Ranks, joined
from trainer.train.settings import TrainSettings
from trainer.train.state import TrainState

WHOLE, SINGLE = 4096, 1
"""Tokens at a time: a window in one micro-batch, each document in one of its own."""
WINDOWS = ((0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11), (12, 13, 14), (15,))
"""The last ones are partial: fewer documents than micro-batches, at last fewer than ranks."""
SETTINGS = TrainSettings(
    epochs=1,
    max_steps=None,
    batch_tokens=64,
    learning_rate=1e-2,
    scheduler="Cosine",
    warmup_percent=0,
    weight_decay=0.01,
    max_grad_norm=0.5,
    seed=17,
    patience=0,
    min_delta=0.0,
    checkpoint_period_s=1e9,
    dropout=0.0,
)


@dataclass
class Recorded:
    """What a training left behind."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    micro_tokens: int = 0


def uneven_documents() -> list[Document]:
    """Label counts from 1 to 29: a mean of means would be far off."""
    rows = documents(16)
    return [
        each if at % 3 else Document(each.tokens, each.targets[-1:])
        for at, each in enumerate(
            Document(row.tokens, row.targets if at % 2 else torch.arange(1, len(row)).numpy())
            for at, row in enumerate(rows)
        )
    ]


def a_model(folder: Path, dropout: float = 0.0, *, fresh: bool = False) -> PeftModel:
    """In float64, with an adapter that already does something: a new one has no gradient in A."""
    torch.set_num_threads(1)
    base = load_base(folder, precision="FP32", device="cpu").double()
    lora = Lora.model_validate({"rank": 4, "alpha": 8, "dropout": str(dropout)})
    model = attach(base, lora, seed=1).double()
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(3)
        for each in () if fresh else trainable(model).values():
            each.add_(torch.randn_like(each) * 0.1)
    return model


def a_training(
    folder: Path,
    ranks: Ranks = ALONE,
    micro_tokens: int = WHOLE,
    *,
    packs: bool = True,
    dropout: float = 0.0,
    fresh: bool = False,
) -> Training:
    """Five optimizer steps over sixteen documents; packed where that is right for the model."""
    model = a_model(folder, dropout, fresh=fresh)
    corpus = corpus_for(base_of(model), uneven_documents(), dropout=dropout)
    corpus = replace(corpus, packs=packs and corpus.packs)
    steps = [Step(window, (at + 1) / len(WINDOWS)) for at, window in enumerate(WINDOWS)]
    state = TrainState(
        fingerprint="", precision="FP32", device="cpu", micro_tokens=micro_tokens, max_steps=5
    )
    torch.manual_seed(SETTINGS.seed)
    return Training(
        model=model,
        settings=replace(SETTINGS, dropout=dropout),
        train=corpus,
        validation=Corpus(documents(9, seed=5), packs=corpus.packs),
        steps=steps,
        optimizer=AdamW(trainable(model).values(), lr=0.0, weight_decay=SETTINGS.weight_decay),
        state=state,
        clock=lambda: 0.0,
        ranks=ranks,
    )


def recorded(training: Training) -> Recorded:
    """Follow the plan; keep every gradient as the optimizer meets it, and the adapter."""
    kept = Recorded()

    def keep(*_: object) -> None:
        for name, each in training.parameters.items():
            assert each.grad is not None, name
            kept.tensors[f"gradient {training.state.step} {name}"] = each.grad.clone()

    training.optimizer.register_step_pre_hook(keep)
    while not training.is_finished:
        training.step()
        assert training.train_loss is not None
        assert training.gradient_norm is not None
        kept.losses.append(training.train_loss)
        kept.norms.append(training.gradient_norm)
    kept.tensors |= {f"adapter {name}": each for name, each in copy_weights(training.model).items()}
    kept.micro_tokens = training.state.micro_tokens
    return kept


def device_of_last(ranks: Ranks, tokens: int, *, backward: bool = False) -> ShortDevice:
    """Only the last rank's device is short: it holds so many tokens at a time."""
    is_last = ranks.rank == ranks.world - 1
    return ShortDevice(larger_than(tokens) if is_last else never, backward)


def short_of_memory(folder: Path, ranks: Ranks, *, backward: bool = False) -> Recorded:
    """It runs out in training, in one of the two passes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "loss_sum", device_of_last(ranks, 40, backward=backward))
        return recorded(a_training(folder, ranks, WHOLE))


def short_evaluation(model: PeftModel, ranks: Ranks) -> float:
    """It runs out in an evaluation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "loss_sum", device_of_last(ranks, 40))
        return mean_loss(base_of(model), Corpus(documents(9, seed=5)), WHOLE, ranks)


def exhausted(folder: Path, ranks: Ranks) -> dict[str, Any]:
    """It does not even hold one row; whoever waited in a collective would never say this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "loss_sum", device_of_last(ranks, 5))
        training = a_training(folder, ranks, WHOLE)
        return failure_of(training.step) | {"step": training.state.step}


def diverged(folder: Path, ranks: Ranks) -> dict[str, Any]:
    """The last rank's loss is no number, in the second step."""
    training = a_training(folder, ranks, WHOLE)
    training.step()
    is_last = ranks.rank == ranks.world - 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "loss_sum", lambda *a: loss_sum(*a) * (math.nan if is_last else 1.0))
        return failure_of(training.step) | {"step": training.state.step}


def failure_of(act: Callable[[], None]) -> dict[str, Any]:
    """What it fails with."""
    with pytest.raises(StageError) as caught:
        act()
    return {"failure": caught.value.failure, "message": caught.value.message}


def resumed_with_noise(folder: Path, ranks: Ranks) -> Recorded:
    """With dropout; frozen after two steps and thawed into a training that knows nothing."""
    first = a_training(folder, ranks, WHOLE, dropout=0.3)
    first.step()
    first.step()
    frozen = first.freeze()
    torch.manual_seed(99)
    second = a_training(folder, ranks, WHOLE, dropout=0.3)
    second.thaw(frozen)
    return recorded(second)


def stopped_on_the_last(root: Path, ranks: Ranks) -> dict[str, Any]:
    """Only the last rank is told to stop, after three actions."""
    root.mkdir()
    (root / "base").symlink_to(root.parent / "base")
    bench = Bench(root)
    stop = StoppingAt(3) if ranks.rank == ranks.world - 1 else threading.Event()
    try:
        bench.run(stop=stop, ranks=ranks)
    except StageError as error:
        files = [entry.key for entry in bench.store.list(layout.run(RUN))]
        step = bench.progress.snapshot().step
        return {"failure": error.failure, "step": step, "files": len(files)}
    raise AssertionError("nobody stopped")


def limited_on_the_last(root: Path, ranks: Ranks) -> dict[str, Any]:
    """Only the last rank's clock says that the time is over, from the third action on."""
    root.mkdir()
    (root / "base").symlink_to(root.parent / "base")
    looks = iter(range(1000))
    is_last = ranks.rank == ranks.world - 1
    limit = SoftLimit(seconds=1000, failure=FailureClass.DEADLINE_EXCEEDED)
    clock = TimeLimit(limit, threading.Event(), lambda: float(next(looks)) if is_last else 0.0)
    partial = Bench(root).run(allowance=Allowance(clock, 1000 - 3), ranks=ranks).summary.partial
    assert partial is not None
    return partial.model_dump(mode="json")


def run(out: Path, ranks: Ranks) -> None:
    """Every case; results in files of this rank."""
    folder = out / "base"
    cases = {
        "whole": recorded(a_training(folder, ranks, WHOLE)),
        "single": recorded(a_training(folder, ranks, SINGLE)),
        "padded": recorded(a_training(folder, ranks, WHOLE, packs=False)),
        "short": short_of_memory(folder, ranks),
        "short backward": short_of_memory(folder, ranks, backward=True),
        "noise": recorded(a_training(folder, ranks, WHOLE, dropout=0.3)),
        "noise again": resumed_with_noise(folder, ranks),
    }
    for other in sorted((out / "families").glob("*")):
        cases[other.name] = recorded(a_training(other, ranks, WHOLE))
    model = a_model(folder)
    figures: dict[str, Any] = {
        name: {"losses": case.losses, "norms": case.norms, "micro": case.micro_tokens}
        for name, case in cases.items()
    }
    figures["evaluation"] = mean_loss(base_of(model), Corpus(documents(9, seed=5)), WHOLE, ranks)
    figures["short evaluation"] = short_evaluation(model, ranks)
    figures["exhausted"] = exhausted(folder, ranks)
    figures["diverged"] = diverged(folder, ranks)
    figures["said"] = ranks.told("word", lambda: f"by rank {ranks.rank}")
    if ranks.world > 1:
        figures["limited"] = limited_on_the_last(out / f"limited-{ranks.rank}", ranks)
        figures["stopped"] = stopped_on_the_last(out / f"bench-{ranks.rank}", ranks)
    for name, case in cases.items():
        save_file(case.tensors, out / f"rank-{ranks.rank} {name}.safetensors")
    (out / f"rank-{ranks.rank}.json").write_text(json.dumps(figures))


def main(arguments: Sequence[str]) -> None:
    """As one of torchrun's processes."""
    with joined(os.environ, device="cpu", timeout_s=120, stop=threading.Event()) as ranks:
        assert ranks is not ALONE
        run(Path(arguments[0]), ranks)


if __name__ == "__main__":
    main(sys.argv[1:])
