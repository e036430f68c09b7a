"""Bad values are refused by helm itself, with their place, before anything is made."""

from typing import Any

import pytest
from cluster.helm import RELEASE, HelmFailed, archive, helm, render

BAD = [
    pytest.param({"replica": 1}, "'replica' not allowed", id="no such value"),
    pytest.param({"image": {"name": "x"}}, "'name' not allowed", id="no such value below another"),
    pytest.param({"replicas": "two"}, "/replicas': got string, want integer", id="type"),
    pytest.param({"replicas": -1}, "/replicas': minimum", id="too few"),
    pytest.param({"image": {"digest": "abc"}}, "/image/digest'", id="digest"),
    pytest.param({"image": {"pullPolicy": "never"}}, "'IfNotPresent', 'Always'", id="pull policy"),
    pytest.param({"watchNamespaces": ["Ml"]}, "/watchNamespaces/0'", id="namespace"),
    pytest.param({"workloadIdentity": "aws"}, "'eks-pod-identity'", id="workload identity"),
    pytest.param({"trainer": {"pricePerGpuHour": 2.5}}, "want string", id="a price without quotes"),
    pytest.param(
        {"trainer": {"resources": {"requests": {"memory": "16 GB"}}}}, "/memory'", id="quantity"
    ),
    pytest.param({"trainer": {"env": {"HF_ENDPOINT": 1}}}, "want string", id="no text"),
    pytest.param(
        {"trainer": {"env": {"NO-PROXY": "x"}}}, "invalid propertyName 'NO-PROXY'", id="no variable"
    ),
    pytest.param(
        {"trainer": {"env": {"TUNEKEEPER_X": "x"}}},
        "propertyName 'TUNEKEEPER_X'",
        id="a name of ours",
    ),
    pytest.param({"settings": {"logLevel": "loud"}}, "'debug', 'info'", id="log level"),
    pytest.param({"settings": {"workers": 0}}, "/workers': minimum", id="setting"),
    pytest.param(
        {"networkPolicy": {"trainers": {"egress": [{"cidr": "10.0.0.1"}]}}},
        "/egress/0/cidr'",
        id="no CIDR",
    ),
    pytest.param({"allowedImages": ["reg*"]}, "/allowedImages/0'", id="half a registry"),
    pytest.param({"allowedHosts": ["https://s3.example.com"]}, "/allowedHosts/0'", id="a URL"),
    pytest.param({"metrics": {"podMonitor": {"interval": "15"}}}, "/interval'", id="no unit"),
]


@pytest.mark.parametrize(("values", "said"), BAD)
def test_a_bad_value_is_refused_with_its_place(values: dict[str, Any], said: str) -> None:
    with pytest.raises(HelmFailed) as refused:
        render(values)
    assert said in str(refused.value)


def test_helm_finds_nothing_to_complain_of() -> None:
    said = helm("lint", "--strict", archive())
    assert "0 chart(s) failed" in said
    assert "[WARNING]" not in said
    assert "[ERROR]" not in said


def test_a_cluster_that_is_too_old_is_refused() -> None:
    with pytest.raises(HelmFailed, match="kubeVersion"):
        helm("template", RELEASE, archive(), "--kube-version", "1.33.0")
