"""The train stage as processes: prepared once, then trained by one or more ranks on the CPU."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from builders.preparing import rows, write_jsonl
from builders.requests import a_request, a_spec
from safetensors.torch import load_file
from torch import Tensor

from trainer.contract.outcome import Outcome
from trainer.contract.request import Stage
from trainer.model.adapter import WEIGHTS

SECTIONS: dict[str, dict[str, Any]] = {
    "lora": {"rank": 2, "alpha": 4},
    "training": {
        "epochs": 2,
        "batchTokens": 128,
        "maxSequenceTokens": 256,
        "precision": "FP32",
        "checkpointPeriodSeconds": 1,
    },
    "evaluation": {
        "arms": [{"name": "ZeroShot"}, {"name": "NearestRow"}],
        "maxNewTokens": 4,
        "fewShotExamples": 1,
        "forgetting": {"tokens": 1024},
    },
}


@dataclass
class Outpost:
    """A folder with a base model, data and an output."""

    root: Path
    run_id: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    sections: dict[str, Any] = field(default_factory=lambda: SECTIONS)
    objects: Path | None = None
    """Where the objects of an output in a bucket lie; None: the output is a folder here."""

    @property
    def output(self) -> Path:
        return self.objects or self.root / "output"

    @property
    def folder(self) -> Path:
        """What the run has left."""
        return self.output / "runs" / self.run_id

    def prepared(self, base: Path) -> "Outpost":
        """With the prepare stage done."""
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "base").symlink_to(base)
        write_jsonl(self.root / "train.jsonl", rows(160))
        self.output.mkdir(parents=True, exist_ok=True)
        assert self.start("prepare").wait(120) == 0, self.log
        self.run_id = self.outcome().run_id
        return self

    def copied(self, root: Path) -> "Outpost":
        """The same, prepared, at another place."""
        shutil.copytree(self.root, root, symlinks=True, dirs_exist_ok=True)
        return replace(self, root=root)

    def start(self, *words: str, before: Sequence[str] = ()) -> "subprocess.Popen[bytes]":
        """A stage, as a container would start it; ``before`` replaces the interpreter's options."""
        command = [sys.executable, "-P", *(before or ("-m", "trainer")), *words]
        with (self.root / "log").open("ab") as log:
            environ = {**os.environ, **self.told(words[0])}
            return subprocess.Popen(command, env=environ, stdout=log, stderr=log)  # noqa: S603 - ours

    def told(self, stage: str) -> dict[str, str]:
        """What the environment of a stage says; its last word is still to come."""
        (self.root / "outcome").unlink(missing_ok=True)
        request = a_request(
            self.root, Stage(stage), run_id=self.run_id, spec=a_spec(self.root, **self.sections)
        )
        return {
            "TUNEKEEPER_REQUEST": request.model_dump_json(),
            "TUNEKEEPER_OUTCOME": str(self.root / "outcome"),
            "TUNEKEEPER_LISTEN": "127.0.0.1:0",
            "TUNEKEEPER_WORK": str(self.root / "work"),
            "TUNEKEEPER_CACHE": str(self.root / "cache"),
            "TUNEKEEPER_FILE_ROOT": "/",
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            **self.environ,
        }

    @property
    def log(self) -> str:
        return (self.root / "log").read_text()

    def outcome(self) -> Outcome:
        """The last word."""
        return Outcome.model_validate_json((self.root / "outcome").read_text().splitlines()[0])

    def manifest(self) -> dict[str, Any]:
        """What vouches for the adapter."""
        document: dict[str, Any] = json.loads((self.folder / "manifest.json").read_bytes())
        return document

    def adapter(self) -> dict[str, Tensor]:
        """The published weights."""
        epoch = self.manifest()["epoch"]
        return load_file(self.folder / f"e{epoch}" / "adapter" / WEIGHTS)

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        (path,) = self.folder.glob("e*/metrics.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()]

    def answers(self) -> list[dict[str, Any]]:
        """All arms' answers, as they are published."""
        (path,) = self.folder.glob("e*/answers/*/answers.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()]
