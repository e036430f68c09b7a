"""What moves in a circle: a base model in a Git repository, and the manifests that name it.

The task is one that the tiny model cannot do and learns to do in seconds, on any of its revisions
but the spoilt one, whose weights are all zero: it can learn nothing. So every verdict is certain.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from builders.whole_run import a_base_model
from cluster.api import Json
from cluster.gitserver import GitRepository, GitServer
from safetensors.torch import load_file, save_file

WEIGHTS = "model.safetensors"
PUSH_BRANCH = "tunekeeper/base-model"
FILE = "fleet/job.yaml"
BASE, JOB = "tiny", "tickets"
ROWS = 400
"""With 30 of 100 to test on: all right against all right is then surely less than the margin."""

TUNING: dict[str, Json] = {
    "lora": {"rank": 8, "alpha": 32},
    "training": {
        "epochs": 2,
        "batchTokens": 256,
        "maxSequenceTokens": 256,
        "learningRate": "0.02",
    },
    "evaluation": {
        "metric": "ExactMatch",
        "arms": [{"name": "ZeroShot"}],
        "fewShotExamples": 1,
        "maxNewTokens": 4,
        # Random weights know nothing that they could forget.
        "forgetting": {"tokens": 1024, "maxIncrease": "100"},
    },
}


def training_data() -> bytes:
    """Messages that differ, and the one answer that every one of them gets."""
    texts = (f"{('green', 'red')[n % 2]} ticket {n * 7} of customer {n}" for n in range(ROWS))
    rows = ({"prompt": text, "completion": "pass"} for text in texts)
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


@dataclass(frozen=True)
class Publisher:
    """A folder with the model's files, and the repository that they are published in."""

    folder: Path
    server: GitServer
    repository: GitRepository

    def first(self) -> str:
        """The first release; its commit."""
        a_base_model(self.folder)
        (self.folder / "README.md").write_text("# A tiny model\n")
        return self._release("First release")

    def train_more(self) -> str:
        """Other weights, near those that were there."""
        generator = torch.Generator().manual_seed(1)
        self._edit(lambda w: w + 0.01 * torch.randn(w.shape, generator=generator))
        return self._release("Train a little more")

    def edit_readme(self) -> str:
        """Words only."""
        return self.repository.commit({"README.md": b"# A tiny model\nIt is small.\n"})

    def spoil(self) -> str:
        """What an export that went wrong leaves: zeros."""
        self._edit(torch.zeros_like)
        return self._release("Update the weights")

    def _edit(self, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
        path = self.folder / WEIGHTS
        tensors = {name: change(tensor) for name, tensor in load_file(path).items()}
        save_file(tensors, path, metadata={"format": "pt"})

    def _release(self, message: str) -> str:
        """Weights go to LFS, as publishers keep them."""
        files: dict[str, bytes | str | None] = {}
        for path in sorted(self.folder.iterdir()):
            content = path.read_bytes()
            files[path.name] = self.server.keep(content) if path.name == WEIGHTS else content
        return self.repository.commit(files, message=message)


@dataclass(frozen=True)
class Manifests:
    """The repository that a GitOps tool applies: one file with both objects."""

    repository: GitRepository
    namespace: str

    def begin(self, base: Json, job: Json, revision: str) -> None:
        """The first commit: the job is pinned to the revision, and marked."""
        job = {**job, "baseModel": {"name": BASE, "revision": "PIN"}, "promotion": {}}
        text = yaml.safe_dump_all([an_object("BaseModel", BASE, base), a_job(job)])
        mark = json.dumps({"$basemodel": f"{self.namespace}:{BASE}"})
        self._commit(text.replace("revision: PIN", f'revision: "{revision}" # {mark}'), "Begin")

    def text(self, branch: str = "main") -> str:
        """The file as it is there."""
        return self.repository.read(FILE, branch).decode()

    def merge(self) -> None:
        """What a person does with the pull request."""
        self.repository.move("main", self.repository.head(PUSH_BRANCH))

    def pin(self, run_id: str) -> None:
        """A person's word, as a commit."""
        text = self.text()
        pinned = text.replace("  promotion: {}\n", f'  promotion: {{pin: "{run_id}"}}\n')
        assert pinned != text
        self._commit(pinned, f"Roll back to {run_id}")

    def _commit(self, text: str, message: str) -> None:
        self.repository.commit({FILE: text.encode()}, message=message)


def an_object(kind: str, name: str, spec: Json) -> Json:
    """One of ours."""
    head = {"apiVersion": "tunekeeper.dev/v1alpha1", "kind": kind, "metadata": {"name": name}}
    return {**head, "spec": spec}


def a_job(spec: Json, name: str = JOB) -> Json:
    """A job on the task; ``spec`` says where everything is."""
    return an_object("FineTuneJob", name, {**TUNING, **spec})


def git_source(repository: GitRepository, secret: str, url: str = "") -> dict[str, Any]:
    """A section of a spec that names a repository, and who asks for it."""
    return {"git": {"url": url or repository.url, "secretRef": {"name": secret}}}
