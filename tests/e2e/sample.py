"""FineTuneJobs on a tiny base model, as a user would write them."""

import copy
import json
from dataclasses import dataclass
from typing import Any

from builders.preparing import rows
from cluster.api import Json
from e2e.objects import BASE, DATA, OUTPUT, Objects
from e2e.tenant import Tenant

ROWS = 160
# Enough steps that a test can step in while it trains.
EPOCHS = 25
TRAINING = {"epochs": EPOCHS, "batchTokens": 128, "maxSequenceTokens": 256}
# One thread: the two cores are shared with a control plane, and sums keep their order.
ENV = [{"name": "OMP_NUM_THREADS", "value": "1"}]
# Little, so that a pod that hangs in one test does not keep another's from starting.
RESOURCES = {"requests": {"cpu": "100m", "memory": "512Mi"}}


@dataclass(frozen=True)
class Sample:
    """What jobs of one tenant are made of."""

    objects: Objects
    tenant: Tenant
    base_uri: str

    def data(self, content: bytes | None = None, name: str = "train.jsonl") -> str:
        """Upload training data; the URI."""
        return self.objects.put(DATA, f"{self.tenant.namespace}/{name}", content or good_data())

    def output(self, name: str) -> str:
        """Prefix of a job's results in its bucket."""
        return f"{self.tenant.namespace}/{name}"

    def base_model(self, name: str) -> Json:
        """A BaseModel on the tiny model, to be named by jobs."""
        source = {"s3": {"uri": self.base_uri, "storage": self.objects.storage(BASE)}}
        return {
            "apiVersion": "tunekeeper.dev/v1alpha1",
            "kind": "BaseModel",
            "metadata": {"name": name, "namespace": self.tenant.namespace},
            "spec": {"source": source},
        }

    def job(self, name: str, data_uri: str, **sections: Json) -> Json:
        """A job to its end in a minute; sections are merged into the spec."""
        spec: dict[str, Any] = {
            "baseModel": {"s3": {"uri": self.base_uri, "storage": self.objects.storage(BASE)}},
            "dataset": {"train": {"uri": data_uri}, "storage": self.objects.storage(DATA)},
            "lora": {"rank": 2, "alpha": 4},
            "training": copy.deepcopy(TRAINING),
            "evaluation": {"fewShotExamples": 1, "maxNewTokens": 8, "forgetting": {"tokens": 1024}},
            "output": {
                "uri": f"s3://{OUTPUT}/{self.output(name)}",
                "storage": self.objects.storage(OUTPUT),
            },
            "compute": {"gpus": 0, "env": ENV, "resources": RESOURCES},
        }
        for section, fields in sections.items():
            spec[section] = {**spec.get(section, {}), **fields}
        return {
            "apiVersion": "tunekeeper.dev/v1alpha1",
            "kind": "FineTuneJob",
            "metadata": {"name": name, "namespace": self.tenant.namespace},
            "spec": spec,
        }


def good_data() -> bytes:
    """Rows with three answers in turn."""
    return _lines(rows(ROWS))


def bad_data() -> bytes:
    """The same, with a row that has no answer and one that is no JSON."""
    lines = _lines([*rows(ROWS), {"prompt": "a message without an answer"}])
    return lines + b"{not json\n"


def _lines(content: list[Json]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in content)
