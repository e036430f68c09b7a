"""One adapter through the whole pipeline in this process: prepare, train, judge, a real store."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.preparing import a_context, write_jsonl
from builders.requests import a_request, a_spec

from bench.aa import base
from trainer.contract.request import Stage
from trainer.contract.verdict import Judgement
from trainer.data.prepared import PreparedRow, open_prepared
from trainer.data.stage import prepare
from trainer.judge.stage import judge
from trainer.stage import StageResult
from trainer.store.file import FileStore
from trainer.train.stage import train

SECTIONS: dict[str, Any] = {
    "lora": {"rank": 8, "alpha": 16},
    "training": {
        "epochs": 4,
        "batchTokens": 512,
        "maxSequenceTokens": 128,
        "learningRate": "1e-2",
        "earlyStopping": {"patience": 0},
    },
    "evaluation": {
        "arms": [{"name": "ZeroShot"}],
        "metric": "ExactMatch",
        "fewShotExamples": 1,
        "maxNewTokens": 4,
        "forgetting": {"tokens": 512, "maxIncrease": "20"},
    },
}
STAGES: dict[Stage, Callable[..., StageResult]] = {
    Stage.PREPARE: prepare,
    Stage.TRAIN: train,
    Stage.JUDGE: judge,
}
ROWS, TEST_PERCENT = 400, 50


@dataclass(frozen=True)
class Job:
    """A folder with data, an output of its own, and the base model that all share."""

    root: Path
    model: Path
    seed: int

    def run(self, rows: base.Rows) -> Judgement:
        """All stages; the verdict."""
        self.root.mkdir(parents=True)
        write_jsonl(self.root / "train.jsonl", rows)
        run_id = ""
        for stage in STAGES:
            result = self._stage(stage, run_id)
            run_id = result.outcome.run_id
        judgement = result.details.evaluation
        assert judgement is not None  # noqa: S101 - the judge's last word
        return judgement

    def lessons(self, rows: base.Rows) -> list[PreparedRow]:
        """The rows as the pipeline gives them to a model."""
        self.root.mkdir(parents=True)
        write_jsonl(self.root / "train.jsonl", rows)
        run_id = self._stage(Stage.PREPARE, "").outcome.run_id
        store = FileStore((self.root / "output").resolve())
        prepared = open_prepared(store, run_id, self.root / "read")
        splits = (prepared.train, prepared.validation, prepared.test)
        return [row for split in splits for row in split]

    def _stage(self, stage: Stage, run_id: str) -> StageResult:
        dataset = {
            "train": {"uri": f"file://{self.root}/train.jsonl"},
            "split": {"testPercent": TEST_PERCENT},
        }
        sections = {**SECTIONS, "training": {**SECTIONS["training"], "seed": self.seed}}
        place = {"baseModel": {"directory": {"path": str(self.model)}}, "dataset": dataset}
        spec = a_spec(self.root, **sections, **place)
        request = a_request(self.root, stage, spec=spec, runId=run_id)
        ctx = a_context(self.root.parent, request)
        own = {"work": self.root / f"work-{stage}", "store": FileStore(self.root / "output")}
        own["work"].mkdir()
        return STAGES[stage](type(ctx)(**vars(ctx) | own))
