"""What the values lead to around the controller: traffic, metrics, policies; rendered by helm."""

from collections.abc import Callable
from typing import Any

import pytest
from cluster.helm import NAMESPACE, Rendered, render

MONITORING = ("serviceMonitor", "podMonitor", "prometheusRule", "dashboards")
ALL_MONITORING = {name: {"enabled": True} for name in MONITORING}


KINDS_OF_MONITORING = ("ServiceMonitor", "PodMonitor", "PrometheusRule")


def kinds(made: Rendered) -> set[str]:
    return {one["kind"] for one in made.objects}


def peers(made: Rendered) -> set[tuple[str, int | str | None]]:
    """CIDR and port of each way out that the stages' pods have by address."""
    policy = next(p for p in made.of("NetworkPolicy") if p["metadata"]["namespace"] == "ml")
    return {
        (to["ipBlock"]["cidr"], port.get("port"))
        for rule in policy["spec"]["egress"]
        for to in rule.get("to", ())
        if "ipBlock" in to
        for port in rule.get("ports", [{}])
    }


NARROW = {
    "networkPolicy": {
        "enabled": True,
        "trainers": {
            "namespaces": ["ml"],
            "egress": [{"cidr": "10.1.0.0/16", "ports": [9000]}],
            "identityEgress": [{"cidr": "10.2.0.1/32", "ports": [443]}],
        },
    }
}
STORE, TOKENS = ("10.1.0.0/16", 9000), ("10.2.0.1/32", 443)

Look = Callable[[Rendered], object]
TABLE: list[tuple[str, dict[str, Any], Look, object]] = [
    (
        "no NetworkPolicy unless asked for",
        {},
        lambda made: made.of("NetworkPolicy"),
        [],
    ),
    (
        "a NetworkPolicy for the controller, and for stages in each watched namespace",
        {"networkPolicy": {"enabled": True}, "watchNamespaces": ["ml", "nlp"]},
        lambda made: {
            (one["metadata"]["namespace"], one["metadata"]["name"])
            for one in made.of("NetworkPolicy")
        },
        {
            (NAMESPACE, "tunekeeper-controller"),
            ("ml", "tunekeeper-stages"),
            ("nlp", "tunekeeper-stages"),
        },
    ),
    (
        "the API server by address",
        {
            "networkPolicy": {
                "enabled": True,
                "apiServer": [{"cidr": "10.0.0.1/32", "ports": [6443]}],
            }
        },
        lambda made: made.one("NetworkPolicy")["spec"]["egress"][-1],
        {
            "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}],
            "ports": [{"protocol": "TCP", "port": 6443}],
        },
    ),
    (
        "DNS by peer",
        {"networkPolicy": {"enabled": True, "dns": [{"namespaceSelector": {}}]}},
        lambda made: made.one("NetworkPolicy")["spec"]["egress"][0]["to"],
        [{"namespaceSelector": {}}],
    ),
    (
        "who may scrape, and helm's test",
        {"networkPolicy": {"enabled": True, "metricsFrom": [{"namespaceSelector": {}}]}},
        lambda made: [
            peer.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/component")
            for peer in made.one("NetworkPolicy")["spec"]["ingress"][1]["from"]
        ],
        [None, "test"],
    ),
    (
        "egress of the stages by CIDR",
        NARROW,
        peers,
        {STORE},
    ),
    *(
        (
            f"workload identity {way}",
            {**NARROW, "workloadIdentity": way},
            peers,
            {STORE, *opened},
        )
        for way, opened in {
            "none": (),
            "irsa": (TOKENS,),
            "azure": (TOKENS,),
            "eks-pod-identity": (("169.254.170.23/32", 80), ("fd00:ec2::23/128", 80)),
            "gke": (("169.254.169.252/32", 988), ("169.254.169.254/32", 80)),
        }.items()
    ),
    (
        "no monitoring but the Service unless asked for",
        {},
        lambda made: sorted(kinds(made) & {"Service", "ConfigMap", *KINDS_OF_MONITORING}),
        ["Service"],
    ),
    (
        "monitors, alerts and dashboards",
        {"metrics": ALL_MONITORING},
        lambda made: sorted(kinds(made) & {"ConfigMap", "ServiceMonitor", *KINDS_OF_MONITORING}),
        ["ConfigMap", "PodMonitor", "PrometheusRule", "ServiceMonitor"],
    ),
    (
        "labels by which they are found, and the interval",
        {
            "metrics": {
                "serviceMonitor": {"enabled": True, "labels": {"release": "p"}, "interval": "1m"},
                "podMonitor": {"enabled": True, "labels": {"release": "p"}, "interval": "2m"},
                "prometheusRule": {"enabled": True, "labels": {"release": "p"}},
                "dashboards": {"enabled": True, "labels": {"grafana_dashboard": "yes"}},
            }
        },
        lambda made: (
            {made.one(kind)["metadata"]["labels"]["release"] for kind in KINDS_OF_MONITORING},
            made.one("ServiceMonitor")["spec"]["endpoints"][0]["interval"],
            made.one("PodMonitor")["spec"]["podMetricsEndpoints"][0]["interval"],
            made.one("ConfigMap")["metadata"]["labels"]["grafana_dashboard"],
        ),
        ({"p"}, "1m", "2m", "yes"),
    ),
    (
        "where the runbooks are",
        {
            "metrics": {
                "prometheusRule": {"enabled": True, "runbookBaseUrl": "https://w.example/books/"}
            }
        },
        lambda made: {
            rule["annotations"]["runbook_url"] == f"https://w.example/books/{rule['alert']}.md"
            for group in made.one("PrometheusRule")["spec"]["groups"]
            for rule in group["rules"]
        },
        {True},
    ),
    (
        "only the watched namespaces' pods are scraped",
        {"watchNamespaces": ["ml"], "metrics": {"podMonitor": {"enabled": True}}},
        lambda made: made.one("PodMonitor")["spec"]["namespaceSelector"],
        {"matchNames": ["ml"]},
    ),
    (
        "policies of the cluster hold in the watched namespaces only",
        {"watchNamespaces": ["ml"], "allowedHosts": ["s3.example.com"]},
        lambda made: {
            tuple(
                one["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"][0]["values"]
            )
            for one in made.of("ValidatingAdmissionPolicyBinding")
        },
        {("ml",)},
    ),
    (
        "no policy that nobody asked for",
        {"admissionPolicy": {"enabled": False}},
        lambda made: made.of("ValidatingAdmissionPolicy"),
        [],
    ),
]


@pytest.mark.parametrize(
    ("values", "look", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_a_value_does_what_it_says(values: dict[str, Any], look: Look, expected: object) -> None:
    assert look(render(values)) == expected


@pytest.mark.parametrize("values", [{}, {"nameOverride": "tuner", "commonLabels": {"a": "b"}}])
def test_selectors_find_the_pods_and_the_service(values: dict[str, Any]) -> None:
    made = render(values, networkPolicy={"enabled": True}, metrics=ALL_MONITORING)
    deployment, service = made.one("Deployment"), made.one("Service")
    pods = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        made.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        made.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(rule["labelSelector"]["matchLabels"] for rule in made.pod()["topologySpreadConstraints"]),
    ]
    assert len(selectors) == 6
    assert all(selector.items() <= pods.items() for selector in selectors)
    monitor = made.one("ServiceMonitor")["spec"]["selector"]["matchLabels"]
    assert monitor.items() <= service["metadata"]["labels"].items()
    assert not monitor.items() <= made.one("Pod")["metadata"]["labels"].items()
