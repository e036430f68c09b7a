"""What each value of the chart leads to, rendered by helm itself."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from cluster.helm import NAMESPACE, Rendered, render

from controller.api.chart import ELSEWHERE, setting_alias
from controller.settings import OperatorSettings, read_settings

DIGEST = f"sha256:{'a' * 64}"
MONITORING = ("serviceMonitor", "podMonitor", "prometheusRule", "dashboards")
ALL_MONITORING = {name: {"enabled": True} for name in MONITORING}


def container(made: Rendered) -> dict[str, Any]:
    (only,) = made.pod()["containers"]
    return dict(only)


def settings(made: Rendered) -> OperatorSettings:
    """As the controller itself reads them."""
    return read_settings([], made.environment())


def kinds(made: Rendered) -> set[str]:
    return {one["kind"] for one in made.objects}


def annotations(made: Rendered, kind: str) -> dict[str, str]:
    return dict(made.one(kind)["metadata"].get("annotations", {}))


Look = Callable[[Rendered], object]
TABLE: list[tuple[str, dict[str, Any], Look, object]] = [
    (
        "both images come by tag, and the stages' are those",
        {"image": {"repository": "r.example/t", "tag": "9"}, "trainer": {"image": {"tag": "8"}}},
        lambda made: (container(made)["image"], settings(made).image, settings(made).trainer_image),
        ("r.example/t:9", "r.example/t:9", "tunekeeper-trainer:8"),
    ),
    (
        "a digest wins over the tag",
        {"image": {"digest": DIGEST, "tag": "9"}, "trainer": {"image": {"digest": DIGEST}}},
        lambda made: (container(made)["image"], settings(made).trainer_image),
        (f"tunekeeper@{DIGEST}", f"tunekeeper-trainer@{DIGEST}"),
    ),
    (
        "the pull policy is the stages' too",
        {"image": {"pullPolicy": "Never"}},
        lambda made: (container(made)["imagePullPolicy"], settings(made).image_pull_policy),
        ("Never", "Never"),
    ),
    (
        "default resources of train and of the CPU stages",
        {
            "trainer": {
                "resources": {"requests": {"cpu": 4, "memory": "16Gi"}},
                "cpuStageResources": {"limits": {"memory": "2Gi"}},
            }
        },
        lambda made: (
            json.loads(settings(made).train_resources),
            json.loads(settings(made).cpu_stage_resources),
        ),
        (
            {"requests": {"cpu": 4, "memory": "16Gi"}, "limits": {}},
            {"limits": {"memory": "2Gi"}, "requests": {}},
        ),
    ),
    (
        "variables of every pod that is started",
        {"trainer": {"env": {"NO_PROXY": '.local,"$(HOME)"'}}},
        lambda made: json.loads(settings(made).stage_env),  # the kubelet makes one of two
        {"NO_PROXY": '.local,"$$(HOME)"'},
    ),
    (
        "a price per GPU hour and its currency",
        {"trainer": {"pricePerGpuHour": "2.50", "currency": "CHF"}},
        lambda made: (settings(made).price_per_gpu_hour, settings(made).currency),
        ("2.50", "CHF"),
    ),
    (
        "large and broken numbers are written as such",
        {"settings": {"maxConcurrentRuns": 1000000, "progressPeriodSeconds": 0.5}},
        lambda made: (settings(made).max_concurrent_runs, settings(made).progress_period_s),
        (1000000, 0.5),
    ),
    (
        "a limit of retrainings",
        {"settings": {"maxConcurrentRetrains": 3}},
        lambda made: settings(made).max_concurrent_retrains,
        3,
    ),
    (
        "addresses move the ports",
        {"settings": {"metricsAddress": "[::]:9000", "healthAddress": "[::]:9001"}},
        lambda made: {one["name"]: one["containerPort"] for one in container(made)["ports"]},
        {"metrics": 9000, "health": 9001},
    ),
    (
        "the lease may have a name of its own, and the Role says it",
        {"settings": {"leaseName": "other"}},
        lambda made: (
            settings(made).lease_name,
            made.one("Role")["rules"][1]["resourceNames"],
        ),
        ("other", ["other"]),
    ),
    (
        "some namespaces: a Role in each, no ClusterRole for the controller",
        {"watchNamespaces": ["ml", "nlp"]},
        lambda made: (
            settings(made).watch_namespaces,
            {one["metadata"]["name"] for one in made.of("ClusterRole")},
            made.of("ClusterRoleBinding"),
            sorted(
                (one["metadata"]["namespace"], one["metadata"]["name"]) for one in made.of("Role")
            ),
        ),
        (
            "ml,nlp",
            {"tunekeeper-view", "tunekeeper-edit"},
            [],
            [
                ("ml", "tunekeeper-controller"),
                ("nlp", "tunekeeper-controller"),
                (NAMESPACE, "tunekeeper-leader-election"),
            ],
        ),
    ),
    (
        "its own namespace among them",
        {"watchNamespaces": [NAMESPACE]},
        lambda made: len({(one["kind"], one["metadata"]["name"]) for one in made.of("Role")}),
        2,
    ),
    (
        "nothing of the whole cluster",
        {
            "watchNamespaces": ["ml"],
            "rbac": {"userRoles": {"enabled": False}},
            "admissionPolicy": {"enabled": False},
            "networkPolicy": {"enabled": True},
            "metrics": ALL_MONITORING,
        },
        lambda made: {one["kind"] for one in made.objects if "namespace" not in one["metadata"]},
        set(),
    ),
    (
        "no rights, no account",
        {"rbac": {"create": False}, "serviceAccount": {"create": False}},
        lambda made: (
            kinds(made) & {"ClusterRoleBinding", "Role", "ServiceAccount"},
            made.pod()["serviceAccountName"],
        ),
        (set(), "default"),
    ),
    (
        "an account of one's own is bound",
        {"serviceAccount": {"create": False, "name": "mine"}},
        lambda made: (
            made.pod()["serviceAccountName"],
            {one["subjects"][0]["name"] for one in made.of("RoleBinding")},
        ),
        ("mine", {"mine"}),
    ),
    (
        "an account with annotations",
        {"serviceAccount": {"annotations": {"a": "b"}}},
        lambda made: annotations(made, "ServiceAccount"),
        {"a": "b"},
    ),
    (
        "CRDs stay after an uninstall",
        {"crds": {"enabled": True}},
        lambda made: {
            one["metadata"]["annotations"]["helm.sh/resource-policy"]
            for one in made.of("CustomResourceDefinition")
        },
        {"keep"},
    ),
    (
        "CRDs go with the release where that is wished",
        {"crds": {"enabled": True, "keep": False}},
        lambda made: ["annotations" in c["metadata"] for c in made.of("CustomResourceDefinition")],
        [False, False],
    ),
    (
        "one replica without a budget",
        {"replicas": 1, "podDisruptionBudget": {"enabled": False}},
        lambda made: (
            made.one("Deployment")["spec"]["replicas"],
            made.of("PodDisruptionBudget"),
        ),
        (1, []),
    ),
    (
        "a budget in percent",
        {"podDisruptionBudget": {"maxUnavailable": "50%"}},
        lambda made: made.one("PodDisruptionBudget")["spec"]["maxUnavailable"],
        "50%",
    ),
    (
        "where the controller's pods go",
        {
            "nodeSelector": {"pool": "ops"},
            "tolerations": [{"key": "ops"}],
            "affinity": {"nodeAffinity": {}},
            "priorityClassName": "high",
            "topologySpreadConstraints": [{"maxSkew": 2}],
            "imagePullSecrets": [{"name": "pull"}],
        },
        lambda made: {name: made.pod()[name] for name in PLACEMENT},
        {
            "nodeSelector": {"kubernetes.io/os": "linux", "pool": "ops"},
            "tolerations": [{"key": "ops"}],
            "affinity": {"nodeAffinity": {}},
            "priorityClassName": "high",
            "topologySpreadConstraints": [{"maxSkew": 2}],
            "imagePullSecrets": [{"name": "pull"}],
        },
    ),
    (
        "labels and annotations of the pods and the Deployment",
        {
            "podLabels": {"a": "1"},
            "podAnnotations": {"b": "2"},
            "deploymentAnnotations": {"c": "3"},
            "commonLabels": {"team": "ml"},
        },
        lambda made: (
            {"a", "team"} & made.one("Deployment")["spec"]["template"]["metadata"]["labels"].keys(),
            made.one("Deployment")["spec"]["template"]["metadata"]["annotations"],
            annotations(made, "Deployment"),
        ),
        ({"a", "team"}, {"b": "2"}, {"c": "3"}),
    ),
    (
        "labels on everything",
        {
            "commonLabels": {"team": "ml"},
            "networkPolicy": {"enabled": True},
            "metrics": ALL_MONITORING,
        },
        lambda made: [o["kind"] for o in made.objects if o["metadata"]["labels"]["team"] != "ml"],
        [],
    ),
    (
        "resources, contexts and variables of one's own",
        {
            "resources": {"limits": {"memory": "1Gi"}},
            "podSecurityContext": {"runAsUser": 7},
            "securityContext": {"privileged": False},
            "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        },
        lambda made: (
            container(made)["resources"]["limits"],
            made.pod()["securityContext"]["runAsUser"],
            container(made)["securityContext"]["privileged"],
            made.environment()["HTTPS_PROXY"],
        ),
        ({"memory": "1Gi"}, 7, False, "http://proxy:3128"),
    ),
    (
        "another name everywhere",
        {"fullnameOverride": "tk"},
        lambda made: (
            made.one("Deployment")["metadata"]["name"],
            settings(made).lease_name,
            {one["metadata"]["name"].partition("-")[0] for one in made.objects},
        ),
        ("tk-controller", "tk", {"tk"}),
    ),
]
PLACEMENT = (
    "nodeSelector",
    "tolerations",
    "affinity",
    "priorityClassName",
    "topologySpreadConstraints",
    "imagePullSecrets",
)


@pytest.mark.parametrize(
    ("values", "look", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_a_value_does_what_it_says(values: dict[str, Any], look: Look, expected: object) -> None:
    assert look(render(values)) == expected


def test_every_setting_of_the_controller_has_a_value() -> None:
    names = {field.name for field in dataclasses.fields(OperatorSettings)} - ELSEWHERE.keys()
    odd = {
        setting_alias(name): {
            str: "0.0.0.0:4444" if "address" in name else "debug" if "log" in name else "other",
            int: 77,
            float: 7.5,
        }[type(getattr(OperatorSettings(), name))]
        for name in names
    } | {"leaseDurationSeconds": 9.5, "leaseRenewSeconds": 8.5}
    made, default = settings(render({"settings": odd})), OperatorSettings()
    assert [name for name in names if getattr(made, name) == getattr(default, name)] == []
