"""The Job of an attempt, field by field."""

import json
from dataclasses import replace
from typing import Any

import pytest
from builders.jobs import UID, a_job
from builders.stage_jobs import asked, container_of, manifest, pod_of, scene_at

from controller.core.actions import StartStage
from controller.settings import OperatorSettings
from controller.shell.loops import pod_settings
from controller.shell.template import MAX_POLICY_RULES, PodSettings, job_manifest
from trainer.contract.failures import EXIT_CODES
from trainer.contract.request import StageRequest

S3 = {"endpoint": "https://s3.example", "secretRef": {"name": "own"}}


def test_a_look_for_a_lost_word_is_small_short_and_has_no_gpu() -> None:
    scene = scene_at("train", a_job(compute={"gpus": 4})).stepped()
    scene = scene.crashed(exit_code=0).stepped()
    (action,) = scene.decided().actions
    assert isinstance(action, StartStage)
    document = job_manifest(scene.job, action, PodSettings())
    container = container_of(document)
    assert container["command"][-1] == "collect"
    assert container["image"] == "registry/small:1"
    assert container["resources"] == {"requests": {"cpu": "100m", "memory": "256Mi"}}
    assert document["spec"]["activeDeadlineSeconds"] == 600
    assert document["metadata"]["name"].endswith("-r1-collect-1")


def test_the_job_is_named_labelled_and_owned() -> None:
    job, action = asked()
    document = job_manifest(job, action, PodSettings())
    assert job.status.run is not None
    assert job.status.run.spec_hash is not None
    metadata = document["metadata"]
    assert (metadata["name"], metadata["namespace"]) == (action.name, "ml")
    assert metadata["labels"] == {
        "app.kubernetes.io/managed-by": "tunekeeper",
        "tunekeeper.dev/job": "intents",
        "tunekeeper.dev/uid": UID,
        "tunekeeper.dev/run": "1",
        "tunekeeper.dev/stage": "train",
        "tunekeeper.dev/attempt": "1",
        "tunekeeper.dev/spec-hash": job.status.run.spec_hash[7:23],
    }
    assert document["spec"]["template"]["metadata"]["labels"] == metadata["labels"]
    assert metadata["ownerReferences"] == [
        {
            "apiVersion": "tunekeeper.dev/v1alpha1",
            "kind": "FineTuneJob",
            "name": "intents",
            "uid": UID,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def test_the_job_never_tries_again_by_itself_and_says_how_it_ended() -> None:
    spec = manifest()["spec"]
    rules = spec["podFailurePolicy"]["rules"]
    assert (spec["backoffLimit"], spec["podReplacementPolicy"]) == (0, "Failed")
    assert (spec["completions"], spec["parallelism"]) == (1, 1)
    assert not {"ttlSecondsAfterFinished", "activeDeadlineSeconds"} & spec.keys()
    assert rules[0]["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    codes = [rule["onExitCodes"]["values"] for rule in rules[1:]]
    assert sorted(codes) == [[code] for code in sorted(EXIT_CODES.values())]
    assert {rule["onExitCodes"]["containerName"] for rule in rules[1:]} == {"stage"}
    assert {rule["action"] for rule in rules} == {"FailJob"}
    assert len(rules) <= MAX_POLICY_RULES


@pytest.mark.parametrize(("backstop_s", "written"), [(600, 600), (10**12, 2**31 - 1)])
def test_a_backstop_is_the_pods_own_so_that_a_wait_for_a_node_does_not_count(
    backstop_s: int, written: int
) -> None:
    job, action = asked()
    limited = job_manifest(job, replace(action, backstop_s=backstop_s), PodSettings())
    assert pod_of(limited)["activeDeadlineSeconds"] == written
    assert "activeDeadlineSeconds" not in limited["spec"]
    assert "activeDeadlineSeconds" not in pod_of(manifest())


def test_the_pod_keeps_to_restricted_pod_security() -> None:
    pod, container = pod_of(manifest()), container_of(manifest())
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        "fsGroup": 65532,
        "fsGroupChangePolicy": "OnRootMismatch",
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert (pod["restartPolicy"], pod["terminationGracePeriodSeconds"]) == ("Never", 120)
    without = pod_of(manifest(pods=PodSettings(fs_group=0)))["securityContext"]
    assert not {"fsGroup", "fsGroupChangePolicy", "runAsUser"} & without.keys()


def test_the_container_runs_its_stage_and_leaves_its_word() -> None:
    container = container_of(manifest("judge"))
    assert container["name"] == "stage"
    assert container["command"] == ["python", "-P", "-m", "trainer", "judge"]
    assert container["ports"] == [{"name": "metrics", "containerPort": 9090}]
    assert container["terminationMessagePath"] == "/dev/termination-log"
    assert container["terminationMessagePolicy"] == "File"


@pytest.mark.parametrize(
    ("stage", "compute", "image"),
    [
        ("prepare", {"image": "mine:1"}, "registry/small:1"),
        ("train", {}, "registry/big:1"),
        ("train", {"image": "mine:1"}, "mine:1"),
        ("judge", {"image": "mine:1"}, "registry/small:1"),
    ],
)
def test_each_stage_has_its_image(stage: str, compute: dict, image: str) -> None:
    assert container_of(manifest(stage, compute=compute))["image"] == image


def test_the_pull_policy_is_the_operators() -> None:
    assert container_of(manifest())["imagePullPolicy"] == "IfNotPresent"
    assert container_of(manifest(pods=PodSettings("Never")))["imagePullPolicy"] == "Never"
    assert "imagePullPolicy" not in container_of(manifest(pods=PodSettings("")))


GPU = "nvidia.com/gpu"
THEIRS = OperatorSettings(
    train_resources='{"requests": {"cpu": 8}, "limits": {"memory": "24Gi"}}',
    cpu_stage_resources='{"requests": {"memory": "2Gi"}}',
)
ASKED = {"requests": {"cpu": 4, GPU: 9}, "limits": {"memory": "16Gi", GPU: 9}}


@pytest.mark.parametrize(
    ("stage", "compute", "resources"),
    [
        pytest.param(
            "prepare", {"gpus": 2}, {"requests": {"cpu": "500m", "memory": "1Gi"}}, id="prepare"
        ),
        pytest.param(
            "judge",
            {"gpus": 2, "cpuStageResources": {"limits": {"memory": "2Gi"}}},
            {"limits": {"memory": "2Gi"}},
            id="judge as the spec says",
        ),
        pytest.param(
            "train", {"gpus": 0}, {"requests": {"cpu": "1", "memory": "4Gi"}}, id="train on the CPU"
        ),
        pytest.param(
            "train",
            {"gpus": 2},
            {"requests": {"cpu": "2", "memory": "9216Mi"}, "limits": {GPU: 2}},
            id="train on two GPUs",
        ),
        pytest.param(
            "train",
            {"gpus": 1, "gpuResourceName": "amd.com/gpu"},
            {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"amd.com/gpu": 1}},
            id="on another maker's",
        ),
        pytest.param(
            "train",
            {"gpus": 1, "resources": ASKED},
            {"requests": {"cpu": 4}, "limits": {"memory": "16Gi", GPU: 1}},
            id="GPUs are asked for in one place",
        ),
        pytest.param(
            "train",
            {"gpus": 0, "resources": ASKED},
            {"requests": {"cpu": 4}, "limits": {"memory": "16Gi"}},
            id="no GPUs are none",
        ),
    ],
)
def test_resources(stage: str, compute: dict, resources: dict) -> None:
    assert container_of(manifest(stage, compute=compute))["resources"] == resources


@pytest.mark.parametrize(
    ("stage", "compute", "resources"),
    [
        pytest.param("prepare", {"gpus": 1}, {"requests": {"memory": "2Gi"}}, id="prepare"),
        pytest.param("judge", {"gpus": 1}, {"requests": {"memory": "2Gi"}}, id="judge"),
        pytest.param(
            "train",
            {"gpus": 1},
            {"requests": {"cpu": 8}, "limits": {"memory": "24Gi", GPU: 1}},
            id="train",
        ),
        pytest.param(
            "train",
            {"gpus": 1, "resources": {"requests": {"cpu": "1"}}},
            {"requests": {"cpu": "1"}, "limits": {GPU: 1}},
            id="a job says what it wants",
        ),
        pytest.param(
            "train",
            {"gpus": 2},
            {"requests": {"cpu": "2", "memory": "9216Mi"}, "limits": {GPU: 2}},
            id="two GPUs need more than one figure can say",
        ),
    ],
)
def test_resources_of_the_operator_hold_where_a_job_asks_for_nothing(
    stage: str, compute: dict, resources: dict
) -> None:
    made = manifest(stage, pod_settings(THEIRS), compute=compute)
    assert container_of(made)["resources"] == resources


PLACEMENT: dict[str, Any] = {
    "nodeSelector": {"pool": "gpu"},
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {"anything": [1, None]}},
    "priorityClassName": "low",
    "imagePullSecrets": [{"name": "pull"}],
    "serviceAccountName": "trainer",
    "runtimeClassName": "nvidia",
}


@pytest.mark.parametrize("stage", ["prepare", "train", "judge"])
def test_pods_run_where_the_spec_says(stage: str) -> None:
    pod = pod_of(manifest(stage, compute=PLACEMENT))
    wanted = {**PLACEMENT, "affinity": {"nodeAffinity": {"anything": [1, None]}}}
    if stage != "train":
        del wanted["runtimeClassName"]
    assert {name: pod[name] for name in wanted} == wanted
    assert ("runtimeClassName" in pod) == (stage == "train")
    assert not PLACEMENT.keys() & pod_of(manifest(stage)).keys()


def test_volumes_without_secrets_are_the_writable_places() -> None:
    document = manifest()
    assert pod_of(document)["volumes"] == [
        {"name": "tmp", "emptyDir": {}},
        {"name": "cache", "emptyDir": {}},
    ]
    assert container_of(document)["volumeMounts"] == [
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        {"name": "cache", "mountPath": "/cache"},
    ]
    kept = pod_of(manifest(compute={"cacheVolumeClaim": "models"}))["volumes"]
    assert kept[1] == {"name": "cache", "persistentVolumeClaim": {"claimName": "models"}}


@pytest.mark.parametrize(
    "source",
    [
        pytest.param({"huggingFace": {"repo": "a/b", "secretRef": {"name": "own"}}}, id="hub"),
        pytest.param({"git": {"url": "https://git", "secretRef": {"name": "own"}}}, id="git"),
        pytest.param({"s3": {"uri": "s3://models/a", "storage": S3}}, id="object store"),
    ],
)
def test_three_identities_are_mounted_each_at_its_role(source: dict) -> None:
    _, action = asked()
    spec = action.request.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    spec["baseModel"] = source
    spec["dataset"]["storage"] = {"secretRef": {"name": "data"}}
    spec["output"]["storage"] = {"secretRef": {"name": "out"}}
    request = StageRequest.model_validate({**action.request.model_dump(), "spec": spec})
    document = job_manifest(a_job(), StartStage("x", request, "i"), PodSettings())
    secrets = [v["secret"] for v in pod_of(document)["volumes"] if "secret" in v]
    assert [secret["secretName"] for secret in secrets] == ["own", "data", "out"]
    assert {(secret["optional"], secret["defaultMode"]) for secret in secrets} == {(True, 0o440)}
    mounts = {m["mountPath"]: m for m in container_of(document)["volumeMounts"][2:]}
    assert list(mounts) == [f"/var/run/tunekeeper/{role}" for role in ("base", "dataset", "output")]
    assert all(mount["readOnly"] for mount in mounts.values())


def test_pods_bear_the_users_labels_but_not_ours_nor_a_gitops_tools() -> None:
    theirs = {
        "team": "support",
        "tunekeeper.dev/uid": "forged",
        "app.kubernetes.io/managed-by": "me",
        "app.kubernetes.io/instance": "argo-app",
        "argocd.argoproj.io/instance": "argo-app",
        "kustomize.toolkit.fluxcd.io/name": "flux",
    }
    notes = {"note": "mine", "argocd.argoproj.io/tracking-id": "x"}
    document = manifest(compute={"podLabels": theirs, "podAnnotations": notes})
    template = document["spec"]["template"]["metadata"]
    assert template["labels"] == {"team": "support", **document["metadata"]["labels"]}
    assert template["annotations"] == {"note": "mine"}
    assert "annotations" not in manifest()["spec"]["template"]["metadata"]


def test_the_same_action_is_the_same_job() -> None:
    job, action = asked()
    texts = {json.dumps(job_manifest(job, action, PodSettings())) for _ in range(2)}
    assert len(texts) == 1
