"""The three stages in this process, one after the other, on a tiny model and the test's clock."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import Any

import pytest
from builders.preparing import a_context, rows, write_jsonl
from builders.requests import ZERO, a_request, a_spec
from builders.whole_run import a_base_model

from trainer.contract.limit import SoftLimit
from trainer.contract.outcome import Outcome
from trainer.contract.request import Stage
from trainer.contract.verdict import Judgement
from trainer.data.stage import prepare
from trainer.judge.stage import judge
from trainer.limit import TimeLimit
from trainer.progress import ProgressTracker
from trainer.stage import StageResult
from trainer.store.checked import read_manifest
from trainer.store.file import FileStore
from trainer.store.manifest import RunManifest
from trainer.train.allowance import FLOOR_S
from trainer.train.stage import train

SECTIONS: dict[str, Any] = {
    "lora": {"rank": 2, "alpha": 4},
    "training": {"epochs": 2, "batchTokens": 256, "maxSequenceTokens": 256},
    "evaluation": {
        "arms": [{"name": "ZeroShot"}],
        "fewShotExamples": 1,
        "maxNewTokens": 4,
        "forgetting": {"tokens": 1024},
    },
}
FUNCTIONS: dict[Stage, Callable[..., StageResult]] = {
    Stage.PREPARE: prepare,
    Stage.TRAIN: train,
    Stage.JUDGE: judge,
}


def actions_left(limit: SoftLimit, actions: int) -> TimeLimit:
    """A limit that lets so many actions of the training through: each look takes a second."""
    first_s = limit.seconds - FLOOR_S - actions + 1
    times = chain((0.0,), (first_s + looks for looks in count()))
    return TimeLimit(limit, threading.Event(), lambda: next(times))


@dataclass
class Line:
    """One job's folder, and its stages."""

    root: Path
    run_id: str = ""
    attempts: dict[Stage, int] = field(default_factory=dict)
    sections: dict[str, Any] = field(default_factory=dict)
    """Of the spec, beside those that make it small."""
    generation_hash: str = ZERO

    def __post_init__(self) -> None:
        a_base_model(self.root / "base")
        write_jsonl(self.root / "train.jsonl", rows(160))

    @property
    def store(self) -> FileStore:
        return FileStore((self.root / "output").resolve())

    @property
    def manifest(self) -> RunManifest:
        found = read_manifest(self.store, self.run_id)
        assert found is not None
        return found

    def run(self, stage: Stage, *, limit: TimeLimit | None = None) -> StageResult:
        """The next attempt at a stage."""
        attempt = self.attempts[stage] = self.attempts.get(stage, 0) + 1
        spec = a_spec(self.root, **SECTIONS | self.sections)
        identity = {"run_id": self.run_id, "generationHash": self.generation_hash}
        request = a_request(self.root, stage, spec=spec, attempt=attempt, **identity)
        ctx = a_context(self.root, request)
        work = self.root / f"work-{stage}-{attempt}"
        work.mkdir()
        fields = vars(ctx) | {"work": work, "progress": ProgressTracker(request)}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("trainer.train.stage.evaluation_s", lambda *_: FLOOR_S)  # no real time
            result = FUNCTIONS[stage](type(ctx)(**fields | ({"limit": limit} if limit else {})))
        self.run_id = result.outcome.run_id
        return result

    def prepared(self) -> Outcome:
        return self.run(Stage.PREPARE).outcome

    def trained(self, limit: TimeLimit | None = None) -> Outcome:
        return self.run(Stage.TRAIN, limit=limit).outcome

    def judged(self) -> Judgement:
        judgement = self.run(Stage.JUDGE).details.evaluation
        assert judgement is not None
        return judgement
