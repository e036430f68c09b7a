"""What people and clusters do to a job, on a node: suspend, starve, delete, hand over."""

import pytest
from cluster.node import cgroups
from cluster.process import wait_until
from e2e.installation import Installation
from e2e.objects import OUTPUT
from e2e.sample import Sample
from e2e.story import Story
from e2e.tenant import Status, Tenant, condition, is_training

pytestmark = pytest.mark.e2e

# Of what PyTorch alone takes a multiple: the kernel kills it while it is loaded.
TOO_LITTLE = {"requests": {"cpu": "100m", "memory": "96Mi"}, "limits": {"memory": "96Mi"}}
GONE_WITHIN_S = 150


def test_a_suspended_job_leaves_the_node_and_goes_on_where_it_was(
    sample: Sample, undisturbed: Story
) -> None:
    tenant = sample.tenant
    tenant.apply(sample.job("paused", sample.data()))
    tenant.await_status("paused", is_training, "training")
    tenant.patch("paused", {"suspend": True})
    status = tenant.await_status("paused", is_suspended, "suspended")
    # As with a suspended Job, its pod may still be writing its checkpoint.
    wait_until(lambda: not tenant.stage_pods("paused", "train"), "its pod is gone", GONE_WITHIN_S)
    done = status["progress"]["step"]
    tenant.patch("paused", {"suspend": False})
    again = tenant.await_status("paused", is_training, "training again")
    assert again["progress"]["step"] >= done > 0
    ended = tenant.finished("paused")
    assert condition(ended, "Succeeded")[0] == "True", ended
    assert ended["run"]["adapterDigest"] == undisturbed.end["run"]["adapterDigest"]


def is_suspended(status: Status) -> bool:
    return status.get("phase") == "Suspended"


@pytest.mark.skipif(
    not cgroups.limits_memory(), reason="the kernel bounds no cgroup's memory on this machine"
)
def test_a_trainer_killed_for_its_memory_ends_the_job_with_a_hint(sample: Sample) -> None:
    tenant = sample.tenant
    job = sample.job("starved", sample.data())
    job["spec"]["compute"]["resources"] = TOO_LITTLE
    tenant.apply(job)
    ended = tenant.finished("starved")
    assert condition(ended, "Stalled") == ("True", "HostOutOfMemory")
    assert "raise compute.resources" in message(ended, "Stalled")
    (pod,) = tenant.stage_pods("starved", "train")
    (container,) = pod["status"]["containerStatuses"]
    assert container["state"]["terminated"]["reason"] == "OOMKilled"


def message(status: Status, kind: str) -> str:
    """Of a condition."""
    return next(one["message"] for one in status["conditions"] if one["type"] == kind)


def test_a_deleted_job_leaves_its_artefacts_and_nothing_else(sample: Sample) -> None:
    tenant = sample.tenant
    tenant.apply(sample.job("deleted", sample.data()))
    tenant.await_status("deleted", is_training, "training")
    tenant.delete("deleted")
    wait_until(lambda: owned(tenant, "deleted") == [], "nothing owned is left", GONE_WITHIN_S)
    kept = sample.objects.server.keys(OUTPUT, sample.output("deleted"))
    assert any(key.endswith("/prepared/plan.json") for key in kept), kept


def owned(tenant: Tenant, name: str) -> list[str]:
    """Jobs and pods of a job that are there."""
    stages = ("prepare", "train", "judge")
    children = (tenant.stage_jobs(name, one) + tenant.stage_pods(name, one) for one in stages)
    return [child["metadata"]["name"] for found in children for child in found]


def test_a_leader_that_goes_hands_over_while_a_job_trains(
    sample: Sample, installed: Installation
) -> None:
    tenant = sample.tenant
    tenant.apply(sample.job("handed-over", sample.data()))
    tenant.await_status("handed-over", is_training, "training")
    before = installed.leader()
    installed.delete_pod(before)
    wait_until(lambda: installed.leader() not in ("", before), "another leads", GONE_WITHIN_S)
    ended = tenant.finished("handed-over")
    assert condition(ended, "Succeeded")[0] == "True", ended
    assert ended["run"]["attempts"] == {"prepare": 1, "train": 1, "judge": 1}
