"""What a stage is started with: one JSON document and a few environment names.

The same in a pod and as a process; nothing here says which of the two it is.
"""

from enum import StrEnum

from pydantic import Field

from trainer.contract.base import CONTRACT_VERSION, Digest, Name, Wire
from trainer.contract.spec import RunSpec

REQUEST_ENV = "TUNEKEEPER_REQUEST"
"""The request as JSON."""
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
    promoted_sequence: int = Field(default=0, ge=0, description="status.promoted.sequence.")
    spec: RunSpec
