"""The chart as an OCI artefact: pushed as the release workflow does, installed from there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster.helm import NAMESPACE, RELEASE, archive, helm, helm_aloud
from cluster.plane import ControlPlane
from cluster.registry import registry

ROOT = Path(__file__).parents[3]
WORKFLOW = (ROOT / ".github" / "workflows" / "release.yaml").read_text(encoding="utf-8")
PLAIN = "--plain-http"
"""The registry of the tests speaks no TLS; that of a release does."""


@pytest.fixture
def charts(tmp_path: Path) -> Iterator[str]:
    """Where a release would put its chart."""
    with registry(tmp_path) as host:
        yield f"oci://{host}/acme/charts"


def test_a_pushed_chart_is_installed_by_version_and_by_the_digest_that_is_attested(
    charts: str,
) -> None:
    assert 'helm push "dist/tunekeeper-${TAG#v}.tgz" "oci://$registry/charts" 2>&1' in WORKFLOW
    assert "sed -n 's/^Digest: //p'" in WORKFLOW
    said = helm_aloud("push", archive(), charts, PLAIN)
    (digest,) = re.findall(r"^Digest: (sha256:[0-9a-f]{64})$", said, re.MULTILINE)
    chart = f"{charts}/tunekeeper"
    options = ("-n", NAMESPACE, "--create-namespace", PLAIN)
    with ControlPlane() as plane:
        for name in ([chart, "--version", "0.1.0"], [f"{chart}@{digest}"]):
            put = ("upgrade", "--install", RELEASE, *name, *options)
            assert "STATUS: deployed" in helm(*put, kubeconfig=plane.kubeconfig)
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/tunekeeper-controller"
        assert plane.api.get(path)["metadata"]["labels"]["helm.sh/chart"] == "tunekeeper-0.1.0"
