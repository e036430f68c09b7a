"""Job files on disk, and the command as a process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import builders.fake_trainer as fake

JOB = """\
apiVersion: tunekeeper.dev/v1alpha1
kind: FineTuneJob
metadata: {name: NAME}
spec:
  baseModel: BASE
  dataset: {train: {uri: "file:///data/train.jsonl"}}
  output: {uri: "file:///out/NAME"}
  compute: {gpus: 0}
"""

BASE = """\
---
apiVersion: tunekeeper.dev/v1alpha1
kind: BaseModel
metadata: {name: smol}
spec: {source: {directory: {path: /models/smol}}}
"""


def job_text(name: str = "intents", base: str = "{directory: {path: /models/tiny}}") -> str:
    return JOB.replace("NAME", name).replace("BASE", base)


def fake_command() -> list[str]:
    """-P: what lies beside it in this folder must never pass for a module of Python's own."""
    return [sys.executable, "-P", str(Path(fake.__file__))]


def environment(root: Path, plan: dict[str, Any] | None = None, **more: str) -> dict[str, str]:
    """Where everything that is kept is below ``root`` and stages do as the plan says."""
    return {
        **os.environ,
        "HOME": str(root),
        "XDG_STATE_HOME": str(root / "state"),
        "XDG_CACHE_HOME": str(root / "cache"),
        "TUNEKEEPER_TRAINER": json.dumps(fake_command()),
        "FAKE_PLAN": json.dumps(plan or {}),
        "COLUMNS": "100",
        **more,
    }


def tunekeeper(
    *arguments: str, root: Path, plan: dict[str, Any] | None = None
) -> "subprocess.CompletedProcess[str]":
    """The command's end."""
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", "from controller.cli import main; main()", *arguments],
        env=environment(root, plan),
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
