"""Documents and specs for tests of the API: whole and valid, changed by keyword."""

from typing import Any

import yaml

from controller.api.finetunejob import FineTuneJobSpec
from controller.api.meta import API_VERSION

GOOD = """\
apiVersion: tunekeeper.dev/v1alpha1
kind: FineTuneJob
metadata:
  name: demo
spec:
  baseModel:
    directory: {path: ./base}
  dataset:
    train:
      uri: file://./train.jsonl
    instruction: Name the intent.
  training:
    learningRate: "5e-4"
    epochs: 2
  evaluation:
    arms:
    - name: ZeroShot
    - name: RetrievedFewShot
      require: NotWorse
      margin: "0.05"
  output:
    uri: file://../results
"""
"""A job as people write it; tests of places count its lines."""


def a_spec_document(**sections: Any) -> dict[str, Any]:
    """The least spec that is valid, with other sections put in."""
    spec: dict[str, Any] = {
        "baseModel": {"directory": {"path": "/models/base"}},
        "dataset": {"train": {"uri": "file:///data/train.jsonl"}},
        "output": {"uri": "file:///results"},
    }
    return spec | sections


def a_job_spec(**sections: Any) -> FineTuneJobSpec:
    """The same as a type."""
    return FineTuneJobSpec.model_validate(a_spec_document(**sections))


def a_job_document(name: str = "demo", **sections: Any) -> dict[str, Any]:
    """A FineTuneJob as it is written."""
    return {
        "apiVersion": API_VERSION,
        "kind": "FineTuneJob",
        "metadata": {"name": name},
        "spec": a_spec_document(**sections),
    }


def a_base_model_document(name: str = "base", **spec: Any) -> dict[str, Any]:
    """A BaseModel as it is written."""
    source = {"source": {"directory": {"path": "/models/base"}}}
    return {
        "apiVersion": API_VERSION,
        "kind": "BaseModel",
        "metadata": {"name": name},
        "spec": source | spec,
    }


def as_yaml(*documents: dict[str, Any]) -> str:
    """The text of a file with these documents."""
    return yaml.safe_dump_all(documents, sort_keys=False)
