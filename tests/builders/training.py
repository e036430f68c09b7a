"""Everything a training needs, in memory or in a temporary folder; needs torch."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from builders.requests import ZERO, a_request, a_spec
from builders.tiny_weights import make_model

from trainer.contract.outcome import DataReport, Estimate
from trainer.contract.request import Stage
from trainer.contract.spec import Lora
from trainer.data.plan import PreparedPlan
from trainer.data.prepared import Prepared, PreparedRow, PreparedRows, write_rows
from trainer.model.adapter import attach
from trainer.model.load import load_base
from trainer.progress import ProgressTracker
from trainer.store.file import FileStore
from trainer.store.manifest import BaseBinding
from trainer.train.allowance import Allowance
from trainer.train.documents import Document
from trainer.train.ranks import ALONE, Ranks
from trainer.train.run import Trained, TrainIO, train_adapter
from trainer.train.settings import settings_of

RUN = "0123456789abcdef"


def check_claim() -> None:
    """The claim's check of an attempt that nobody has passed."""


VOCABULARY = 128
END = 2


def a_binding(**fields: Any) -> BaseBinding:
    """The identity of the tiny base."""
    document = {
        "source": "base",
        "revision": "0" * 12,
        "contentDigest": ZERO,
        "configSha256": "c",
        "tokenizerSha256": "t",
        "templateSha256": "m",
        "vocabularySize": VOCABULARY,
    }
    return BaseBinding.model_validate(document | fields)


def a_plan(**fields: Any) -> PreparedPlan:
    """Three epochs of about four steps."""
    document = {
        "format": "Chat",
        "metric": "ExactMatch",
        "hasTemplate": True,
        "templateDate": "2026-01-01",
        "labels": [],
        "epochs": 3,
        "learningRate": 2e-2,
        "batchTokens": 200,
        "maxSequenceTokens": 512,
        "fewShotExamples": 1,
        "maxNewTokens": 8,
        "resolved": [],
        "base": a_binding().model_dump(by_alias=True),
        "splitDigests": {"train": ZERO},
        "datasetDigest": ZERO,
        "data": DataReport().model_dump(by_alias=True),
        "estimate": Estimate(
            train_tokens=0, steps=0, answer_count=0, peak_memory_bytes=0
        ).model_dump(by_alias=True),
    }
    return PreparedPlan.model_validate(document | fields)


def documents(count: int, *, shared: int = 0, seed: int = 0) -> list[Document]:
    """Rows of 6 to 29 tokens after a common beginning; the last few carry loss."""
    rng = np.random.default_rng(seed)
    prefix = rng.integers(3, VOCABULARY, shared)
    made = []
    for _ in range(count):
        rest = rng.integers(3, VOCABULARY, rng.integers(6, 30))
        tokens = np.concatenate([prefix, rest])
        made.append(Document(tokens, np.arange(len(tokens) - rng.integers(1, 5), len(tokens))))
    return made


def prepared_rows(count: int, *, seed: int, shared: int = 20) -> list[PreparedRow]:
    """Rows whose answer repeats their first own token, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    prefix = np.arange(3, 3 + shared)
    rows = []
    for number in range(count):
        own = rng.integers(30, VOCABULARY, rng.integers(4, 12))
        ids = np.concatenate([prefix, own, own[:1], [END]]).astype(np.int32)
        spans = [(len(ids) - 2, len(ids))]
        rows.append(PreparedRow(f"r{number}", f"g{number}", [], "", ids, spans))
    return rows


@dataclass
class StoppingAt:
    """A stop event that is set once it was asked ``count`` times: between two actions."""

    count: int
    asked: int = 0

    def is_set(self) -> bool:
        self.asked += 1
        return self.asked > self.count


@dataclass
class Bench:
    """A folder with a tiny base model, prepared splits and a store."""

    root: Path
    spec: dict[str, Any] = field(default_factory=dict)
    plan: PreparedPlan = field(default_factory=a_plan)
    validation: int = 32
    train: Sequence[PreparedRow] = field(default_factory=lambda: prepared_rows(26, seed=1))
    clock: Callable[[], float] = lambda: 0.0

    def __post_init__(self) -> None:
        self.base = self.root / "base"
        if not self.base.exists():
            self.root.mkdir(parents=True, exist_ok=True)
            make_model(self.base)
        self.store = FileStore(self.root / "output")
        (self.root / "output").mkdir(exist_ok=True)

    def splits(self) -> Prepared:
        """The rows as prepare would have written them."""
        rows = {"train": self.train, "validation": prepared_rows(self.validation, seed=2)}
        for name, split in {**rows, "test": []}.items():
            write_rows(self.root / f"{name}.arrow", split)
        opened = {
            name: PreparedRows(self.root / f"{name}.arrow")
            for name in ("train", "validation", "test")
        }
        return Prepared(self.plan, **opened)

    def fingerprint(self) -> str:
        """What this training's checkpoints are known by."""
        request = a_request(self.root, Stage.TRAIN, spec=a_spec(self.root, **self.spec))
        return settings_of(request.spec, self.plan).fingerprint(self.plan.split_digests)

    def run(
        self,
        *,
        epoch: int = 1,
        stop: Any = None,
        allowance: Allowance | None = None,
        ranks: Ranks = ALONE,
    ) -> Trained:
        """One attempt from a fresh process's point of view."""
        request = a_request(self.root, Stage.TRAIN, spec=a_spec(self.root, **self.spec))
        self.model = attach(
            load_base(self.base, precision="FP32", device="cpu"),
            Lora.model_validate(self.spec.get("lora", {"rank": 4, "alpha": 8})),
            seed=request.spec.training.seed,
        )
        work = self.root / f"work-{epoch}"
        io = TrainIO(self.store, RUN, epoch, work, a_binding(), check_claim=check_claim)
        self.progress = ProgressTracker(request, self.clock)
        return train_adapter(
            self.model,
            self.splits(),
            request,
            plan=self.plan,
            io=io,
            progress=self.progress,
            stop=stop or threading.Event(),
            clock=self.clock,
            allowance=allowance,
            ranks=ranks,
        )
