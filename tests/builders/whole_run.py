"""The command as a person runs it: the real console script, real stages, a tiny real base model."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from builders.preparing import rows, write_jsonl
from builders.tiny_model import make_tokenizer
from builders.tiny_weights import make_model

COMMAND = Path(sys.executable).with_name("tunekeeper")
BYTECODE = "PYTHONPYCACHEPREFIX"

Ended = subprocess.CompletedProcess[str]


def a_base_model(directory: Path) -> Path:
    """Tokenizer, template, config and random weights."""
    make_tokenizer(directory, weights=False)
    make_model(directory)
    return directory


@dataclass(frozen=True)
class Desk:
    """A folder with a job file, its data and its base model; what is kept stays below it."""

    root: Path
    bytecode: Path

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def base(self) -> Path:
        return self.root / "base"

    @property
    def data(self) -> Path:
        return self.root / "train.jsonl"

    def laid_out(self, base: Path, *, shared: bool = False) -> "Desk":
        """With a base model of its own (or a link to it), 160 rows and a job that takes seconds."""
        self.root.mkdir(parents=True, exist_ok=True)
        if shared:
            self.base.symlink_to(base)
        else:
            shutil.copytree(base, self.base)
        write_jsonl(self.data, rows(160))
        self.write_job()
        return self

    def write_job(self, **sections: Mapping[str, Any]) -> None:
        """The job, with fields of its sections replaced."""
        spec = {name: {**SPEC.get(name, {}), **sections.get(name, {})} for name in SPEC | sections}
        document = {
            "apiVersion": "tunekeeper.dev/v1alpha1",
            "kind": "FineTuneJob",
            "metadata": {"name": "tiny"},
            "spec": spec,
        }
        (self.root / "job.yaml").write_text(yaml.safe_dump(document, sort_keys=False))

    def edit_job(self, old: str, new: str) -> None:
        """Another text in the job file, as a slip of the hand."""
        file = self.root / "job.yaml"
        text = file.read_text()
        assert text.count(old) == 1, old
        file.write_text(text.replace(old, new))

    def start(self, *arguments: str, before: Sequence[str] = ()) -> "subprocess.Popen[str]":
        """The command, under way."""
        return subprocess.Popen(  # noqa: S603 - our own command
            [*before, str(COMMAND), *arguments],
            env=self.environ(),
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def tunekeeper(self, *arguments: str, before: Sequence[str] = ()) -> Ended:
        """The command's end."""
        return finished(self.start(*arguments, before=before))

    def environ(self) -> dict[str, str]:
        """One thread a stage; imports compiled once for all tests, wherever Python may write."""
        mine = {
            "HOME": str(self.root),
            "XDG_STATE_HOME": str(self.root / "state"),
            "XDG_CACHE_HOME": str(self.root / "cache"),
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "COLUMNS": "100",
            BYTECODE: os.environ.get(BYTECODE, str(self.bytecode)),
        }
        unwanted = ("PYTHONDONTWRITEBYTECODE", "TUNEKEEPER_TRAINER", "FORCE_COLOR")
        kept = {name: value for name, value in os.environ.items() if name not in unwanted}
        return kept | mine

    def stages(self) -> list[str]:
        """The stages that were started, in order."""
        logs = (self.root / "state").glob("tunekeeper/logs/*/*.log")
        ordered = sorted(logs, key=lambda path: path.stat().st_ctime_ns)
        return [path.stem.rsplit("-", 2)[1] for path in ordered]

    def documents(self, pattern: str) -> list[dict[str, Any]]:
        """JSON objects of the output, by name."""
        return [json.loads(path.read_bytes()) for path in sorted(self.output.glob(pattern))]


SPEC: dict[str, dict[str, Any]] = {
    "baseModel": {"directory": {"path": "./base"}},
    "dataset": {"train": {"uri": "file://./train.jsonl"}},
    "lora": {"rank": 2, "alpha": 4},
    "training": {"epochs": 3, "batchTokens": 128, "maxSequenceTokens": 256},
    "evaluation": {"fewShotExamples": 1, "maxNewTokens": 8, "forgetting": {"tokens": 1024}},
    "output": {"uri": "file://./output"},
    "compute": {"gpus": 0},
}


def finished(command: "subprocess.Popen[str]", timeout_s: float = 300) -> Ended:
    """Wait for the end and keep what was printed."""
    with command:
        out, err = command.communicate(timeout=timeout_s)
    return Ended(command.args, command.returncode, out, err)


def contents(directory: Path) -> dict[str, str]:
    """Every file below the directory with its digest."""
    return {
        path.relative_to(directory).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


SMALL_DISK = """
set -e
cp -a "$0/." "$1"
mount -t tmpfs -o size=8m tmpfs "$0"
cp -a "$1/." "$0"
dd if=/dev/zero of="$0/filling" bs=4096 count=$(($(stat -f -c %a "$0") - $2)) status=none
left=$1
shift 2
code=0
"$@" || code=$?
rm "$0/filling"
rm -rf "$left"/*
cp -a "$0/." "$left"
exit $code
"""


def on_small_disk(place: Path, left: Path, free_pages: int = 8) -> list[str]:
    """What goes before a command so that it alone finds a small disk at ``place``.

    The disk holds what lay there, and ``left`` what lies on it at last.
    """
    private = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", SMALL_DISK]
    return [*private, str(place), str(left), str(free_pages)]
