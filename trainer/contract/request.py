"""What a stage is started with: one JSON document and a few environment names.

The same in a pod and as a process; nothing here says which of the two it is.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum

from pydantic import Field

from trainer.contract.base import CONTRACT_VERSION, Digest, Name, Wire
from trainer.contract.limit import SoftLimit
from trainer.contract.spec import RunSpec

REQUEST_ENV = "TUNEKEEPER_REQUEST"
"""The request as JSON; what has no room goes on in ``TUNEKEEPER_REQUEST_1``, ``_2``, ..."""
OUTCOME_ENV = "TUNEKEEPER_OUTCOME"
"""File for the stage's last word; a pod's termination message path."""
LISTEN_ENV = "TUNEKEEPER_LISTEN"
"""Where /progress and /metrics are served: ``host:port`` or ``fd:N``, an inherited socket."""
WORK_ENV = "TUNEKEEPER_WORK"
"""Writable scratch directory; lost when the stage ends."""
CACHE_ENV = "TUNEKEEPER_CACHE"
"""Writable directory that may outlive the stage; never trusted unchecked."""
FILE_ROOT_ENV = "TUNEKEEPER_FILE_ROOT"
"""The directory below which ``file://`` and ``directory`` sources may point."""
SECRETS_ENV = "TUNEKEEPER_SECRETS"
"""Directory with one directory of keys per role (base, dataset, output); unset: the environment's
own credentials."""
POD_UID_ENV = "TUNEKEEPER_POD_UID"
"""Uid of the pod that runs the stage; unset where there is no pod."""
IMAGE_ENV = "TUNEKEEPER_STAGE_IMAGE"
"""Image that the pod was asked to run, for the record; unset where there is no pod."""

MAX_ENV_BYTES = 96 << 10
"""Linux lets one string of the environment hold 128 KiB, its name included."""

DEFAULT_OUTCOME = "/dev/termination-log"
DEFAULT_LISTEN = "0.0.0.0:9090"
DEFAULT_WORK = "/tmp/tunekeeper"  # noqa: S108 - an emptyDir of the pod
DEFAULT_CACHE = "/cache"
DEFAULT_FILE_ROOT = DEFAULT_CACHE


class Stage(StrEnum):
    """The stages of a run; the value is the command: ``python -m trainer <stage>``."""

    PREPARE = "prepare"
    TRAIN = "train"
    JUDGE = "judge"


class JobIdentity(Wire):
    """Whose stage this is."""

    namespace: Name
    name: Name
    uid: str = Field(min_length=1, max_length=64)


class StageRequest(Wire):
    """Everything a stage knows of the job that it works for."""

    version: int = CONTRACT_VERSION
    stage: Stage
    job: JobIdentity
    run: int = Field(ge=1)
    attempt: int = Field(ge=1)
    run_id: str = Field(default="", description="Empty until prepare has computed it.")
    spec_hash: Digest = Field(description="Over all identity fields.")
    identity_hash: Digest = Field(description="Over identity fields but locations; in the run id.")
    generation_hash: Digest = Field(description="Over what answers depend on beside the adapter.")
    rerun: str = Field(default="", max_length=256, description="Value of the rerun annotation.")
    keep_promoted_base: bool = Field(
        default=False,
        description="prepare: a promoted run that differs only in the base model is this run.",
    )
    pin_only: bool = Field(
        default=False, description="judge: see to promotion.pin; the run itself has failed."
    )
    promoted_sequence: int = Field(default=0, ge=0, description="status.promoted.sequence.")
    git_commit: str = Field(
        default="", max_length=64, description="Of the manifest, for the record; in no digest."
    )
    limit: SoftLimit | None = Field(
        default=None,
        description="prepare, train: what is left of the run's limits; None: no limit.",
    )
    spec: RunSpec


def request_environment(request: Wire) -> dict[str, str]:
    """The request as environment variables, none of them longer than ``MAX_ENV_BYTES``."""
    # A pod's env values are expanded: $(HOME) in a prompt must reach the stage as it is written.
    text = request.model_dump_json(exclude_none=True).replace("$", r"\u0024")
    return {_part_name(number): part for number, part in enumerate(_parts(text))}


def joined_request(environ: Mapping[str, str]) -> str:
    """The JSON that ``request_environment`` cut; empty: there is none."""
    parts: list[str] = []
    while (part := environ.get(_part_name(len(parts)))) is not None:
        parts.append(part)
    return "".join(parts)


def _part_name(number: int) -> str:
    return f"{REQUEST_ENV}_{number}" if number else REQUEST_ENV


def _parts(text: str) -> Iterator[str]:
    """Cut between characters, never inside one."""
    data = text.encode()
    while data:
        part = data[:MAX_ENV_BYTES].decode(errors="ignore")
        yield part
        data = data[len(part.encode()) :]
