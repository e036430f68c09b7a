"""What the chart put on the node, and helm's own word on it."""

import pytest
from cluster.helm import NAMESPACE, RELEASE, helm
from e2e.installation import DEPLOYMENT, POLICED, Installation

pytestmark = pytest.mark.e2e


def test_the_test_of_the_release_passes(installed: Installation) -> None:
    said = helm("test", RELEASE, "-n", NAMESPACE, kubeconfig=installed.plane.kubeconfig)
    assert "Phase:          Succeeded" in said


@pytest.mark.parametrize(
    ("namespace", "name"), [(NAMESPACE, DEPLOYMENT), (POLICED, f"{RELEASE}-stages")]
)
def test_network_policies_are_there(installed: Installation, namespace: str, name: str) -> None:
    """That they hold is the network plugin's work; that of the test network does not."""
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies/{name}"
    assert installed.plane.api.get(path)["spec"]["podSelector"]["matchLabels"]
