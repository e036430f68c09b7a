"""Where the stages run: the part of a FineTuneJob's spec that only the operator reads."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from trainer.contract.base import LocalObjectReference, Name, Wire

QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"

Quantity = (
    Annotated[int, Field(ge=0)] | Annotated[str, Field(pattern=QUANTITY_PATTERN, max_length=32)]
)
"""An amount of a resource, as Kubernetes writes it: ``4``, ``"500m"``, ``"16Gi"``."""

QueueName = Annotated[Name, Field(max_length=63)]
"""Of a LocalQueue; it is the value of a label too."""

LabelValue = Annotated[str, Field(max_length=63)]


class Resources(Wire):
    """What a container asks for and may use."""

    requests: dict[str, Quantity] = Field(
        default={}, max_length=16, description="Reserved for the container."
    )
    limits: dict[str, Quantity] = Field(
        default={}, max_length=16, description="The most the container may use."
    )


class Toleration(Wire):
    """A taint that the pods put up with."""

    key: str | None = Field(default=None, max_length=317, description="Key of the taint.")
    operator: Literal["Exists", "Equal"] | None = Field(
        default=None, description="How the value is compared; Kubernetes reads none as Equal."
    )
    value: str | None = Field(default=None, max_length=63, description="Value of the taint.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Effect of the taint; none: every effect."
    )
    toleration_seconds: int | None = Field(
        default=None, ge=0, description="How long NoExecute is put up with."
    )


class EnvVar(Wire):
    """An environment variable of the stages."""

    name: str = Field(
        max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Name of the variable."
    )
    value: str = Field(default="", max_length=4096, description="Its value; never a secret.")


class Compute(Wire):
    """Where and with what the stages run; applies to the next attempt."""

    image: str | None = Field(
        default=None, max_length=512, description="Trainer image instead of the operator's own."
    )
    gpus: int = Field(
        default=1,
        ge=0,
        le=64,
        description="GPUs per node, each with a process of its own; 0 trains on the CPU.",
    )
    gpu_resource_name: str = Field(
        default="nvidia.com/gpu", max_length=253, description="Resource that a GPU is asked for by."
    )
    nodes: int = Field(default=1, ge=1, le=64, description="Nodes that train together.")
    resources: Resources | None = Field(default=None, description="Resources of train.")
    cpu_stage_resources: Resources | None = Field(
        default=None, description="Resources of prepare and judge."
    )
    node_selector: dict[str, LabelValue] = Field(
        default={}, max_length=32, description="Labels that a node must have."
    )
    tolerations: list[Toleration] = Field(
        default=[], max_length=32, description="Taints that the pods put up with."
    )
    affinity: dict[str, JsonValue] | None = Field(
        default=None,
        description="Affinity of the pods, as in a PodSpec.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )
    priority_class_name: Name | None = Field(default=None, description="PriorityClass of the pods.")
    runtime_class_name: Name | None = Field(default=None, description="RuntimeClass of the pods.")
    image_pull_secrets: list[LocalObjectReference] = Field(
        default=[], max_length=16, description="Secrets to pull images with."
    )
    service_account_name: Name | None = Field(
        default=None, description="ServiceAccount of the pods, for workload identity."
    )
    queue_name: QueueName | None = Field(
        default=None,
        description="Kueue LocalQueue of this namespace. Train's Job is created suspended with it, "
        "and starts when Kueue admits it; prepare and judge never wait.",
    )
    cache_volume_claim: Name | None = Field(
        default=None, description="PersistentVolumeClaim that keeps downloads between runs."
    )
    env: list[EnvVar] = Field(
        default=[], max_length=64, description="Environment variables of the stages."
    )
    pod_labels: dict[str, LabelValue] = Field(
        default={}, max_length=32, description="Labels added to the pods."
    )
    pod_annotations: dict[str, Annotated[str, Field(max_length=4096)]] = Field(
        default={}, max_length=32, description="Annotations added to the pods."
    )
