"""What every object of the two kinds has around its spec: group, metadata, points in time."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AwareDatetime, ConfigDict, Field, PlainSerializer

from trainer.contract.base import Name, Wire

GROUP = "tunekeeper.dev"
VERSION = "v1alpha1"
API_VERSION: Final = "tunekeeper.dev/v1alpha1"
DEFAULT_NAMESPACE = "default"
RERUN_ANNOTATION = f"{GROUP}/rerun"
"""Any value that was not there before makes a new run."""
CHECK_ANNOTATION = f"{GROUP}/check"
"""Of a BaseModel: any value that was not there before has its source looked at now."""
GIT_COMMIT_ANNOTATION = f"{GROUP}/git-commit"
"""The commit that the manifest comes from, set by whoever applies it; recorded, decides nothing."""
MAX_JOB_NAME = 63


def rfc3339(time: datetime) -> str:
    """UTC to the second, as Kubernetes writes times."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[AwareDatetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]


class ObjectMeta(Wire):
    """The part of an object's metadata that decides anything; other keys are ignored."""

    model_config = ConfigDict(extra="ignore")

    name: Name = Field(description="Name of the object.")
    namespace: Name = DEFAULT_NAMESPACE
    uid: str = Field(default="", max_length=64)
    generation: int = 0
    resource_version: str = ""
    labels: dict[str, str] = Field(default={})
    annotations: dict[str, str] = Field(default={})
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
