"""The quickstart's own job, in pods: a real small language model and real messages."""

from pathlib import Path

import pytest
import yaml
from cluster.api import Json
from e2e.installation import ROOT
from e2e.objects import BASE, DATA, OUTPUT, Objects
from e2e.tenant import Tenant, condition

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

QUICKSTART = ROOT / "examples" / "quickstart"
# 6 minutes on two quiet cores; these also carry a control plane.
ENDS_WITHIN_S = 2400


@pytest.fixture
def base(objects: Objects) -> str:
    """SmolLM2-135M-Instruct in the store, as `make quickstart-base` unpacked it."""
    directory = QUICKSTART / "build" / "base"
    assert (directory / "model.safetensors").exists(), "run `make quickstart-base` first"
    return objects.put_tree(BASE, "smollm2", directory)


@pytest.fixture
def job(base: str, objects: Objects, tenant: Tenant) -> Json:
    """The file with its four addresses changed, as its comments say."""
    document = yaml.safe_load((QUICKSTART / "job.yaml").read_text())
    document["metadata"]["namespace"] = tenant.namespace
    spec = document["spec"]
    spec["baseModel"] = {"s3": {"uri": base, "storage": objects.storage(BASE)}}
    spec["dataset"]["train"]["uri"] = put_file(objects, QUICKSTART / "messages.jsonl")
    spec["dataset"]["storage"] = objects.storage(DATA)
    spec["output"] = {"uri": f"s3://{OUTPUT}/message-slots", "storage": objects.storage(OUTPUT)}
    return document


def put_file(objects: Objects, path: Path) -> str:
    """Upload it; the URI."""
    return objects.put(DATA, path.name, path.read_bytes())


def test_the_quickstart_ends_with_a_promoted_adapter(
    job: Json, tenant: Tenant, objects: Objects
) -> None:
    tenant.apply(job)
    status = tenant.finished("message-slots", timeout_s=ENDS_WITHIN_S)
    assert condition(status, "Succeeded")[0] == "True", status
    assert status["evaluation"]["verdict"] == "Promote", status["evaluation"]
    assert status["promoted"]["adapterURI"].startswith(f"s3://{OUTPUT}/message-slots/")
    assert "message-slots/promoted.json" in objects.server.keys(OUTPUT)
