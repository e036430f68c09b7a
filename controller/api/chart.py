"""The values of the Helm chart: one description and one default per value.

``values.yaml``, ``values.schema.json`` and docs/chart.md of the chart are written from these types
by ``make generate``. What is of Kubernetes' own kinds is passed on, and judged by the API server.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, create_model
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

from controller.api.chartparts import (
    Labels,
    MonitoringValues,
    Namespace,
    NetworkPolicy,
    Object,
    OptionalName,
    Port,
)
from controller.api.compute import Quantity
from controller.settings import ENV_PREFIX, LOG_LEVELS, OperatorSettings
from trainer.contract.base import LocalObjectReference, Name, Wire

ImagePattern = Annotated[str, Field(pattern=r"^[^\s*]+([/:@]\*)?$", max_length=512)]
VARIABLE_NAMES: JsonDict = {
    "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
    "maxLength": 128,
    "not": {"pattern": f"^{ENV_PREFIX}"},
}
VariableText = Annotated[str, Field(max_length=4096)]
HostPattern = Annotated[str, Field(pattern=r"^(\*\.)?[a-z0-9:]([-a-z0-9.:]*[a-z0-9:])?$")]


class Image(Wire):
    """Where an image is."""

    repository: str = Field(min_length=1, description="Its name, with the registry.")
    tag: str = Field(default="", description="Its tag; empty: the chart's appVersion.")
    digest: str = Field(
        default="",
        pattern=r"^(sha256:[0-9a-f]{64})?$",
        description="Its digest, `sha256:...`; wins over the tag.",
    )


class ControllerImage(Image):
    """The small one."""

    repository: str = Field(
        default="tunekeeper", min_length=1, description="Its name, with the registry."
    )
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = Field(
        default="IfNotPresent", description="Pull policy of both images, in the stages' pods too."
    )


class TrainerImage(Image):
    """The one with PyTorch."""

    repository: str = Field(
        default="tunekeeper-trainer", min_length=1, description="Its name, with the registry."
    )


class ResourceAmounts(Wire):
    """What a container asks for and may use."""

    requests: dict[str, Quantity] = Field(default={}, description="Reserved for the container.")
    limits: dict[str, Quantity] = Field(default={}, description="The most that it may use.")


class Trainer(Wire):
    """What the stages' pods get where a job says nothing."""

    image: TrainerImage = Field(default_factory=TrainerImage, description="Image of train.")
    resources: ResourceAmounts = Field(
        default_factory=ResourceAmounts,
        description="Resources of train for jobs with at most one GPU; the GPU itself is asked for "
        "by the job. Empty: 1 CPU and 4 GiB are requested.",
    )
    cpu_stage_resources: ResourceAmounts = Field(
        default_factory=ResourceAmounts,
        description="Resources of prepare and judge. Empty: half a CPU and 1 GiB are requested.",
    )
    env: dict[str, VariableText] = Field(
        default={},
        json_schema_extra={"propertyNames": VARIABLE_NAMES},
        description="Environment variables of every pod that the controller starts, looks at base "
        "models included, such as HTTPS_PROXY or HF_ENDPOINT; those of a job win. Never a secret.",
    )
    price_per_gpu_hour: str = Field(
        default="",
        pattern=r"^([0-9]{1,12}(\.[0-9]{1,12})?)?$",
        description='Price of a GPU hour, in quotes, such as `"2.50"`; empty: no cost is shown.',
    )
    currency: str = Field(
        default="EUR", pattern=r"^[A-Z]{3}$", description="Currency of that price, ISO 4217."
    )


class Crds(Wire):
    """The kinds."""

    enabled: bool = Field(
        default=True, description="Install and upgrade the CRDs with the release."
    )
    keep: bool = Field(
        default=True,
        description="Leave the CRDs, and so every job, where they are when the release is "
        "uninstalled (`helm.sh/resource-policy: keep`).",
    )


class PodDisruptionBudget(Wire):
    """What a drain may take."""

    enabled: bool = Field(default=True, description="Make a PodDisruptionBudget.")
    max_unavailable: int | Annotated[str, Field(pattern=r"^[0-9]+%$")] = Field(
        default=1, description="Replicas that a drain may take at once."
    )


class ServiceAccount(Wire):
    """Whom the controller is."""

    create: bool = Field(default=True, description="Make the ServiceAccount.")
    name: OptionalName = Field(
        default="", description="Its name; empty: the one that is made, or `default`."
    )
    annotations: Labels = Field(default={}, description="Annotations on it.")


class UserRoles(Wire):
    """What people get."""

    enabled: bool = Field(
        default=True,
        description="Add both kinds to the built-in roles view (read), edit and admin (write).",
    )


class Rbac(Wire):
    """Rights."""

    create: bool = Field(
        default=True,
        description="Give the controller its rights: a ClusterRole, or with `watchNamespaces` a "
        "Role in each of them.",
    )
    user_roles: UserRoles = Field(default_factory=UserRoles, description="Roles of people.")


class AdmissionPolicy(Wire):
    """Who may name what."""

    enabled: bool = Field(
        default=True,
        description="Let people name only Secrets that they may `get` and ServiceAccounts that "
        "they may `impersonate` (a ValidatingAdmissionPolicy).",
    )


ELSEWHERE = {
    "namespace": "the release's namespace",
    "watch_namespaces": "watchNamespaces",
    "image": "image",
    "trainer_image": "trainer.image",
    "image_pull_policy": "image.pullPolicy",
    "train_resources": "trainer.resources",
    "cpu_stage_resources": "trainer.cpuStageResources",
    "stage_env": "trainer.env",
    "price_per_gpu_hour": "trainer.pricePerGpuHour",
    "currency": "trainer.currency",
    "kubeconfig": "the pod's own",
}
"""Settings of the operator that have a place of their own among the values."""

_BOUNDS: dict[str, Any] = {
    "log_level": Literal[LOG_LEVELS],
    "progress_port": Port,
    "workers": Annotated[int, Field(ge=1)],
    "metrics_address": Annotated[str, Field(pattern=r"^.+:[0-9]{1,5}$")],
    "health_address": Annotated[str, Field(pattern=r"^.+:[0-9]{1,5}$")],
    "lease_name": OptionalName,
}
_NUMBER = {int: Annotated[int, Field(ge=0)], float: Annotated[float, Field(ge=0)]}


def setting_alias(name: str) -> str:
    """The value of a setting: ``retry_base_s`` is ``retryBaseSeconds``."""
    return to_camel(f"{name[:-2]}_seconds" if name.endswith("_s") else name)


def _settings_model() -> type[Wire]:
    fields: dict[str, Any] = {}
    for name, row in OperatorSettings.__dataclass_fields__.items():
        if name in ELSEWHERE:
            continue
        kind = _BOUNDS.get(name) or _NUMBER[type(row.default)]
        text, default = row.metadata["help"], row.default
        if name == "lease_name":
            text, default = f"{text}; empty: that of the release", ""
        text = f"{text[0].upper()}{text[1:]}."
        fields[name] = (kind, Field(default=default, alias=setting_alias(name), description=text))
    return create_model("SettingsValues", __base__=Wire, **fields)


SettingsValues = _settings_model()


class Values(Wire):
    """The values of the chart."""

    global_: Object = Field(default={}, alias="global", description="Of a parent chart; not used.")
    name_override: str = Field(
        default="", max_length=50, description="Instead of the chart's name."
    )
    fullname_override: str = Field(
        default="", max_length=50, description="Instead of release and chart name in every name."
    )
    common_labels: Labels = Field(default={}, description="Labels on everything that is made.")
    image: ControllerImage = Field(
        default_factory=ControllerImage, description="Image of the controller, prepare and judge."
    )
    image_pull_secrets: list[LocalObjectReference] = Field(
        default=[],
        description="Secrets to pull the controller's image with. Stages: "
        "`compute.imagePullSecrets` of a job, or the ServiceAccount of its pods.",
    )
    trainer: Trainer = Field(
        default_factory=Trainer, description="What stages get where a job says nothing."
    )
    watch_namespaces: list[Namespace] = Field(
        default=[],
        description="Namespaces to work in, with a Role in each and no ClusterRole; they have to "
        "be there. Empty: all namespaces.",
    )
    settings: SettingsValues = Field(  # type: ignore[valid-type]
        default_factory=SettingsValues, description="Settings of the controller (docs/settings.md)."
    )
    crds: Crds = Field(default_factory=Crds, description="The CRDs of both kinds.")
    replicas: int = Field(
        default=2, ge=0, description="Controllers: one leads, the others take over."
    )
    pod_disruption_budget: PodDisruptionBudget = Field(
        default_factory=PodDisruptionBudget, description="Keeps a controller through drains."
    )
    service_account: ServiceAccount = Field(
        default_factory=ServiceAccount, description="ServiceAccount of the controller."
    )
    rbac: Rbac = Field(default_factory=Rbac, description="Rights.")
    admission_policy: AdmissionPolicy = Field(
        default_factory=AdmissionPolicy, description="Who may name which Secret."
    )
    allowed_images: list[ImagePattern] = Field(
        default=[],
        description="Images that `compute.image` may name: whole references, or beginnings that "
        "end with `/*`, `:*` or `@*`. Empty: any.",
    )
    allowed_service_accounts: list[Name] = Field(
        default=[],
        description="ServiceAccounts that `compute.serviceAccountName` may name. Empty: any.",
    )
    allowed_hosts: list[HostPattern] = Field(
        default=[],
        description="Hosts that jobs and base models may name (endpoints, forges, proxies), or "
        "`*.example.com`; `s3.amazonaws.com` stands for S3 without an endpoint, `huggingface.co` "
        "for the Hub, unless `trainer.env` has an HF_ENDPOINT. Empty: any. What a pod can reach is "
        "the NetworkPolicies' matter.",
    )
    network_policy: NetworkPolicy = Field(
        default_factory=NetworkPolicy, description="NetworkPolicies."
    )
    workload_identity: Literal["none", "irsa", "eks-pod-identity", "gke", "azure"] = Field(
        default="none",
        description="How the stages' pods get credentials without a Secret; opens the address that "
        "it needs in their NetworkPolicy.",
    )
    metrics: MonitoringValues = Field(
        default_factory=MonitoringValues, description="Metrics, alerts and dashboards."
    )
    resources: Object = Field(
        default={"requests": {"cpu": "100m", "memory": "160Mi"}, "limits": {"memory": "512Mi"}},
        description="Resources of a controller.",
    )
    pod_annotations: Labels = Field(default={}, description="Annotations on the controller's pods.")
    pod_labels: Labels = Field(default={}, description="More labels on the controller's pods.")
    deployment_annotations: Labels = Field(
        default={}, description="Annotations on the controller's Deployment."
    )
    pod_security_context: Object = Field(
        default={"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        description="Security context of the controller's pods; passes the restricted standard.",
    )
    security_context: Object = Field(
        default={
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        description="Security context of the controller's container.",
    )
    node_selector: Labels = Field(
        default={"kubernetes.io/os": "linux"}, description="Labels that the node must have."
    )
    tolerations: list[Object] = Field(default=[], description="Taints that are put up with.")
    affinity: Object = Field(default={}, description="Affinity of the controller's pods.")
    topology_spread_constraints: list[Object] = Field(
        default=[],
        description="Instead of the chart's own: apart by node and by zone where there is room.",
    )
    priority_class_name: OptionalName = Field(
        default="", description="PriorityClass of the controller's pods."
    )
    extra_env: list[Object] = Field(
        default=[], description="More environment variables of the controller, such as a proxy."
    )
