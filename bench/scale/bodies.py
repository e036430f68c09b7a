"""What the operator would write about an object, as bytes: made by its own functions, once.

An object's name and uid are put in by replacing text, so that a bare client spends nothing on it.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from controller.api.finetunejob import FineTuneJob
from controller.api.meta import API_VERSION
from controller.api.wire import to_document
from controller.core.actions import StartStage
from controller.core.decide import decide
from controller.core.naming import child_name
from controller.core.observed import Observed
from controller.settings import OperatorSettings
from controller.shell.loops import core_settings, pod_settings
from controller.shell.template import job_manifest
from trainer.contract.request import Stage

NAME, UID, VERSION = "name-of-the-job", "00000000-1111-2222-3333-444444444444", "@version@"
SPEC: dict[str, Any] = {
    "baseModel": {
        "huggingFace": {"repo": "HuggingFaceTB/SmolLM2-135M-Instruct"},
        "revision": "12fd25f77366fa6b3b4b768ec3050bf629380bac",
    },
    "dataset": {
        "train": {"uri": "s3://acme-data/messages.jsonl"},
        "storage": {"secretRef": {"name": "training-data"}, "region": "eu-central-1"},
    },
    "training": {"epochs": 2},
    "output": {
        "uri": "s3://acme-models/message-slots",
        "storage": {"secretRef": {"name": "adapters"}, "region": "eu-central-1"},
    },
    "compute": {"gpus": 0, "resources": {"requests": {"cpu": "4", "memory": "8Gi"}}},
}
"""The sample job-cpu.yaml, the same for all: so are its hashes, in the status and in the Job."""


@dataclass(frozen=True)
class Born:
    """An object that was created."""

    name: str
    uid: str
    version: str

    @classmethod
    def read(cls, said: bytes) -> Self:
        """From the server's answer."""
        meta = json.loads(said)["metadata"]
        return cls(meta["name"], meta["uid"], meta["resourceVersion"])


@dataclass(frozen=True)
class Bodies:
    """Of one namespace."""

    namespace: str
    new: bytes
    status: bytes
    job: bytes
    child: str

    @property
    def objects(self) -> str:
        """Where the objects are."""
        return f"/apis/tunekeeper.dev/v1alpha1/namespaces/{self.namespace}/finetunejobs"

    @property
    def jobs(self) -> str:
        """Where their children are."""
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    def new_of(self, name: str) -> bytes:
        """What a person applies."""
        return self.new.replace(NAME.encode(), name.encode())

    def status_of(self, born: Born) -> bytes:
        """The record of its first attempt."""
        named = self.status.replace(NAME.encode(), born.name.encode())
        told = named.replace(UID.encode(), born.uid.encode())
        return told.replace(VERSION.encode(), born.version.encode())

    def job_of(self, born: Born) -> bytes:
        """The Job of its first attempt."""
        child = child_name(born.name, born.uid, run=1, stage=Stage.PREPARE, attempt=1)
        named = self.job.replace(self.child.encode(), child.encode())
        told = named.replace(NAME.encode(), born.name.encode())
        return told.replace(UID.encode(), born.uid.encode())


def bodies(namespace: str) -> Bodies:
    """Two decisions of the core, as the shell would write them."""
    meta = {"namespace": namespace, "name": NAME}
    kind = {"apiVersion": API_VERSION, "kind": "FineTuneJob"}
    at = {**meta, "uid": UID, "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"}
    job = FineTuneJob.model_validate({"metadata": at, "spec": SPEC})
    settings = OperatorSettings()
    now = datetime.now(UTC)  # noqa: TID251 - the bench has no Observed to take it from
    recorded = decide(Observed(job=job, now=now, settings=core_settings(settings))).status
    stored = job.model_copy(update={"status": recorded})
    begun = decide(Observed(job=stored, now=now, settings=core_settings(settings)))
    start = next(action for action in begun.actions if isinstance(action, StartStage))
    written = {**meta, "uid": UID, "resourceVersion": VERSION}
    return Bodies(
        namespace,
        json.dumps({**kind, "metadata": meta, "spec": SPEC}).encode(),
        json.dumps({**kind, "metadata": written, "status": to_document(recorded)}).encode(),
        json.dumps(job_manifest(stored, start, pod_settings(settings))).encode(),
        start.name,
    )
