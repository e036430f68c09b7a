"""Stage requests for tests: whole and valid, changed by keyword."""

from pathlib import Path
from typing import Any

from trainer.contract.request import Stage, StageRequest

ZERO = "sha256:" + "0" * 64


def a_spec(root: Path, **sections: Any) -> dict[str, Any]:
    """A RunSpec in JSON whose places are all below ``root``."""
    spec: dict[str, Any] = {
        "baseModel": {"directory": {"path": str(root / "base")}},
        "dataset": {"train": {"uri": f"file://{root}/train.jsonl"}},
        "output": {"uri": f"file://{root}/output"},
        "gpus": 0,
    }
    return spec | sections


def a_request(root: Path, stage: Stage = Stage.PREPARE, **fields: Any) -> StageRequest:
    """A request of job default/demo, run 1, attempt 1."""
    document = {
        "stage": stage,
        "job": {"namespace": "default", "name": "demo", "uid": "uid-1"},
        "run": 1,
        "attempt": 1,
        "specHash": ZERO,
        "identityHash": ZERO,
        "generationHash": ZERO,
        "spec": a_spec(root),
    }
    return StageRequest.model_validate(document | fields)
