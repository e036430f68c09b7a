"""The Job of one attempt: a pure function of the object, the action and the settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.api.compute import Compute, EnvVar, Resources
from controller.api.finetunejob import KIND, FineTuneJob
from controller.api.meta import API_VERSION, ObjectMeta
from controller.core.actions import StartStage
from controller.core.naming import short_hash
from controller.shell import ranks
from controller.shell.environment import environment, variables
from controller.shell.kinds import (
    ATTEMPT_LABEL,
    CHILD_SELECTOR,
    JOB_LABEL,
    RUN_LABEL,
    SPEC_HASH_LABEL,
    STAGE_LABEL,
    UID_LABEL,
)
from controller.shell.places import mounts, secrets_of, volumes
from controller.shell.queuetemplate import queued
from trainer.contract.base import Wire
from trainer.contract.failures import EXIT_CODES
from trainer.contract.request import DEFAULT_OUTCOME, Stage, StageRequest

Json = dict[str, Any]

CONTAINER = "stage"
PORT_NAME = "metrics"
GRACE_SECONDS = 120
"""Time to write a checkpoint after SIGTERM."""

DEFAULT_REQUESTS: Mapping[Stage, Mapping[str, str]] = {
    Stage.PREPARE: {"cpu": "500m", "memory": "1Gi"},
    Stage.TRAIN: {"cpu": "1", "memory": "4Gi"},
    Stage.JUDGE: {"cpu": "500m", "memory": "1Gi"},
    Stage.COLLECT: {"cpu": "100m", "memory": "256Mi"},
}

COLLECT_DEADLINE_S = 600
"""It reads one small file; a store that hangs must not hold the run."""

NEVER_COPIED = (
    "app.kubernetes.io/instance",
    "argocd.argoproj.io/",
    "kustomize.toolkit.fluxcd.io/",
)
"""What Argo CD and Flux recognise their own objects by: they would delete what bears it."""

MAX_SECONDS = (1 << 31) - 1
"""The API server takes no larger number."""
MAX_POLICY_RULES = 20
"""The API server takes no more."""


@dataclass(frozen=True)
class PodSettings:
    """The operator's settings that every pod shares."""

    image_pull_policy: str = "IfNotPresent"
    """Empty: as Kubernetes chooses by the image's tag."""
    fs_group: int = 65532
    """0: none; where a platform gives each namespace its own."""
    progress_port: int = 9090
    train_resources: Resources | None = None
    """Instead of ours, where a job with at most one GPU asks for nothing."""
    cpu_stage_resources: Resources | None = None
    """The same of prepare and judge."""
    env: tuple[EnvVar, ...] = ()
    """Variables of every pod; those of a job win."""


@dataclass(frozen=True)
class Workload:
    """What differs between the children of the two kinds, and between their stages."""

    command: str
    image: str
    request: Wire
    secrets: Mapping[str, str]
    """Names of Secrets, by role."""
    resources: Resources
    """Where the spec asks for nothing."""
    compute: Compute = field(default_factory=Compute)
    is_train: bool = False
    ranks: int = 0
    """Processes of the stage; fewer than two: the one that it is."""
    deadline_s: int | None = None
    """A backstop for work that has no watchdog of its own."""
    backstop_s: int | None = None
    """The same for a stage: of its pod, so that a wait for a node does not count."""


@dataclass(frozen=True)
class Owner:
    """Whose child it is."""

    namespace: str
    reference: Json


def job_manifest(job: FineTuneJob, action: StartStage, pods: PodSettings) -> Json:
    """The Job to create for a stage."""
    request = action.request
    is_train = request.stage is Stage.TRAIN
    count = job.spec.compute.gpus if is_train else 0
    work = Workload(
        request.stage.value,
        action.image,
        request,
        secrets_of(request.spec),
        default_resources(request.stage, count, pods),
        job.spec.compute,
        is_train=is_train,
        ranks=count,
        backstop_s=action.backstop_s,
        deadline_s=COLLECT_DEADLINE_S if request.stage is Stage.COLLECT else None,
    )
    made = manifest(action.name, owner_of(KIND, job.metadata), child_labels(request), work, pods)
    queue = job.spec.compute.queue_name if work.is_train else None
    return queued(made, queue) if queue else made


def default_resources(stage: Stage, gpus: int, pods: PodSettings) -> Resources:
    """Where the spec asks for nothing: the operator's, else little.

    Several ranks need several times as much, which no one figure of an operator can say.
    """
    theirs = {
        Stage.TRAIN: pods.train_resources if gpus <= 1 else None,
        Stage.PREPARE: pods.cpu_stage_resources,
        Stage.JUDGE: pods.cpu_stage_resources,
    }.get(stage)
    return theirs or Resources(requests=ranks.requests(DEFAULT_REQUESTS[stage], gpus))


def manifest(
    name: str, owner: Owner, labels: Mapping[str, str], work: Workload, pods: PodSettings
) -> Json:
    """The Job around any work of ours."""
    deadline = {} if work.deadline_s is None else {"activeDeadlineSeconds": work.deadline_s}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": owner.namespace,
            "labels": dict(labels),
            "ownerReferences": [owner.reference],
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": _rules()},
            **deadline,
            "template": {
                "metadata": _template_metadata(work.compute, labels),
                "spec": _pod(work, pods),
            },
        },
    }


def child_labels(request: StageRequest) -> dict[str, str]:
    """What a Job and its pods are known by."""
    label, _, us = CHILD_SELECTOR.partition("=")
    return {
        label: us,
        JOB_LABEL: request.job.name,
        UID_LABEL: request.job.uid,
        RUN_LABEL: str(request.run),
        STAGE_LABEL: request.stage.value,
        ATTEMPT_LABEL: str(request.attempt),
        SPEC_HASH_LABEL: short_hash(request.spec_hash),
    }


def owner_of(kind: str, meta: ObjectMeta) -> Owner:
    """The reference by which the garbage collector takes children with their object."""
    reference = {
        "apiVersion": API_VERSION,
        "kind": kind,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return Owner(meta.namespace, reference)


def _rules() -> list[Json]:
    """The first that matches is what the Job's condition tells; a disruption before its code."""
    disruption = {
        "action": "FailJob",
        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
    }
    return [disruption, *(_rule(code) for code in sorted(EXIT_CODES.values()))]


def _rule(exit_code: int) -> Json:
    codes = {"containerName": CONTAINER, "operator": "In", "values": [exit_code]}
    return {"action": "FailJob", "onExitCodes": codes}


def _template_metadata(compute: Compute, labels: Mapping[str, str]) -> Json:
    metadata: Json = {"labels": {**_copied(compute.pod_labels), **labels}}
    annotations = _copied(compute.pod_annotations)
    return metadata | ({"annotations": annotations} if annotations else {})


def _copied(theirs: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in theirs.items() if not name.startswith(NEVER_COPIED)}


def _pod(work: Workload, pods: PodSettings) -> Json:
    security: Json = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if pods.fs_group:
        security |= {"fsGroup": pods.fs_group, "fsGroupChangePolicy": "OnRootMismatch"}
    backstop = work.backstop_s
    deadline = {} if backstop is None else {"activeDeadlineSeconds": min(backstop, MAX_SECONDS)}
    return {
        "restartPolicy": "Never",
        **deadline,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": security,
        "containers": [_container(work, pods)],
        "volumes": [
            *volumes(work.secrets, work.compute.cache_volume_claim),
            *ranks.volumes(work.ranks),
        ],
        **_placement(work),
    }


PLACEMENT = (
    "node_selector",
    "tolerations",
    "affinity",
    "priority_class_name",
    "image_pull_secrets",
    "service_account_name",
)


def _placement(work: Workload) -> Json:
    """Where the pod may run, and as whom; what is not set is not written."""
    names = {*PLACEMENT, *(("runtime_class_name",) if work.is_train else ())}
    written = work.compute.model_dump(mode="json", by_alias=True, include=names, exclude_none=True)
    return {name: value for name, value in written.items() if value}


def _container(work: Workload, pods: PodSettings) -> Json:
    policy = {"imagePullPolicy": pods.image_pull_policy} if pods.image_pull_policy else {}
    return {
        "name": CONTAINER,
        "image": work.image,
        **policy,
        "command": ["python", "-P", "-m", "trainer", work.command, *ranks.options(work.ranks)],
        "env": environment(
            work.request,
            variables(pods.env, work.compute.env),
            port=pods.progress_port,
            image=work.image,
        ),
        "ports": [{"name": PORT_NAME, "containerPort": pods.progress_port}],
        "resources": _resources(work),
        "terminationMessagePath": DEFAULT_OUTCOME,
        "terminationMessagePolicy": "File",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [*mounts(work.secrets), *ranks.mounts(work.ranks)],
    }


def _resources(work: Workload) -> Json:
    """As the spec says, else little; GPUs are asked for by ``compute.gpus`` alone."""
    compute = work.compute
    asked = compute.resources if work.is_train else compute.cpu_stage_resources
    resources = asked or work.resources
    gpu = compute.gpu_resource_name
    requests = {name: value for name, value in resources.requests.items() if name != gpu}
    limits = {name: value for name, value in resources.limits.items() if name != gpu}
    if work.is_train and compute.gpus:
        limits[gpu] = compute.gpus
    written = {"requests": requests, "limits": limits}
    return {name: amounts for name, amounts in written.items() if amounts}
