"""What a run was made from and with, gathered for its manifests. Pure but for library versions."""

import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version

from pydantic import JsonValue

from trainer.contract.request import StageRequest
from trainer.contract.spec import RunSpec
from trainer.data.plan import PreparedPlan
from trainer.store.manifest import Lineage
from trainer.store.secrets import without_login

LIBRARIES = ("tunekeeper", "torch", "transformers", "peft", "tokenizers", "safetensors", "numpy")

SECTIONS = ("baseModel", "dataset", "method", "lora", "quantization", "training", "evaluation")
JUDGED = (
    "confidencePercent minDelta smallestEffect targetScore whenNotNeeded againstPromoted looks "
    "forgetting.maxIncrease"
)
NOT_OF_THE_RUN = frozenset(
    {
        "secretRef",
        "storage",
        "contentDigest",
        "training.checkpointPeriodSeconds",
        "training.stallSeconds",
        *(f"evaluation.{name}" for name in JUDGED.split()),
    }
)
"""How a place is reached, and what the judge alone reads: by path, or by name at any depth."""


def lineage_of(
    request: StageRequest, plan: PreparedPlan, *, image: str, created: str, plan_sha256: str
) -> Lineage:
    """The record of the run that the request is for."""
    return Lineage(
        namespace=request.job.namespace,
        name=request.job.name,
        run=request.run,
        created=created,
        spec_hash=request.spec_hash,
        identity_hash=request.identity_hash,
        generation_hash=request.generation_hash,
        rerun=request.rerun,
        git_commit=request.git_commit,
        image=image,
        image_digest=image.partition("@")[2],
        dataset_digest=plan.dataset_digest,
        split_digests=plan.split_digests,
        seeds={"training": request.spec.training.seed},
        versions=library_versions(),
        plan_sha256=plan_sha256,
        spec=asked(request.spec),
    )


def asked(spec: RunSpec) -> dict[str, JsonValue]:
    """Identity and generation fields by path; no names of Secrets, no places of services."""
    document = spec.model_dump(mode="json", by_alias=True)
    return dict(_fields({name: document[name] for name in SECTIONS}, ""))


def _fields(value: JsonValue, path: str) -> Iterator[tuple[str, JsonValue]]:
    name = path.rpartition(".")[2]
    if value is None or path in NOT_OF_THE_RUN or name in NOT_OF_THE_RUN:
        return
    if path == "evaluation.arms" and isinstance(value, list):
        yield path, [arm["name"] for arm in value if isinstance(arm, Mapping)]
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from _fields(below, f"{path}.{key}" if path else key)
    else:
        yield path, without_login(value) if isinstance(value, str) else value


def library_versions() -> dict[str, str]:
    """What the result is made with; recorded, never part of a run's id."""
    found = {name: _version(name) for name in LIBRARIES}
    return {
        "python": platform.python_version(),
        **{name: each for name, each in found.items() if each},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # run from a checkout that was never installed
        return ""
