"""What the chart put on the node."""

import pytest
from cluster.api import Json
from cluster.helm import NAMESPACE, RELEASE, render
from cluster.process import wait_until
from e2e.installation import DEPLOYMENT, POLICED, Installation

pytestmark = pytest.mark.e2e

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
ENDS_WITHIN_S = 180


def test_the_pod_of_helm_test_succeeds(installed: Installation) -> None:
    """At the leader's address: the test network has neither cluster DNS nor Services."""
    api, pod = installed.plane.api, render().one("Pod")
    leader = api.get(f"{PODS}/{installed.leader()}")["status"]["podIP"]
    (container,) = pod["spec"]["containers"]
    environment = {one["name"]: one for one in container["env"]}
    environment["METRICS_URL"]["value"] = f"http://{leader}:8080/metrics"
    installed.plane.kubectl("apply", "-f", "-", stdin=pod)
    path = f"{PODS}/{pod['metadata']['name']}"
    wait_until(lambda: has_ended(api.get(path)), "the test's pod has ended", ENDS_WITHIN_S)
    assert api.get(path)["status"]["phase"] == "Succeeded"


def has_ended(pod: Json) -> bool:
    return pod["status"]["phase"] in ("Succeeded", "Failed")


@pytest.mark.parametrize(
    ("namespace", "name"), [(NAMESPACE, DEPLOYMENT), (POLICED, f"{RELEASE}-stages")]
)
def test_network_policies_are_there(installed: Installation, namespace: str, name: str) -> None:
    """That they hold is the network plugin's work; that of the test network does not."""
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies/{name}"
    assert installed.plane.api.get(path)["spec"]["podSelector"]["matchLabels"]
