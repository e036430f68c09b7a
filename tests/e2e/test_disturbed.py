"""What goes wrong around a run, and what becomes of it."""

from collections.abc import Iterator

import pytest
from e2e.installation import Installation
from e2e.sample import Sample, bad_data
from e2e.story import ENDS_WITHIN_S, Story
from e2e.tenant import Status, Tenant, condition, is_finished, is_training

pytestmark = pytest.mark.e2e

# Steps out of 2,125: more than a trainer takes before it is first looked at.
WELL_UNDER_WAY = 600
NO_SUCH_IMAGE = "localhost/no-such-image:1"


def test_bad_data_end_it_before_anything_is_trained(sample: Sample) -> None:
    tenant = sample.tenant
    tenant.apply(sample.job("bad-data", sample.data(bad_data(), "bad.jsonl")))
    status = tenant.finished("bad-data")
    assert condition(status, "Stalled") == ("True", "InvalidData")
    assert condition(status, "DataValid")[0] == "False"
    assert status["data"]["errors"]
    assert tenant.stage_jobs("bad-data", "train") == []


def test_a_deleted_trainer_goes_on_to_the_same_adapter(sample: Sample, undisturbed: Story) -> None:
    tenant = sample.tenant
    tenant.apply(sample.job("interrupted", sample.data()))
    tenant.await_status("interrupted", is_well_under_way, "well under way")
    (pod,) = tenant.stage_pods("interrupted", "train")
    tenant.delete_pod(pod["metadata"]["name"])
    seen = list(seen_until_finished(tenant, "interrupted"))
    assert condition(seen[-1], "Succeeded")[0] == "True", seen[-1]
    assert seen[-1]["run"]["attempts"]["train"] == 2
    again = [one["progress"]["step"] for one in seen if is_training(one) and is_second(one)]
    assert min(again) >= WELL_UNDER_WAY, f"it began again: {again}"
    assert seen[-1]["run"]["adapterDigest"] == undisturbed.end["run"]["adapterDigest"]


def is_well_under_way(status: Status) -> bool:
    return is_training(status) and status["progress"]["step"] >= WELL_UNDER_WAY


def is_second(status: Status) -> bool:
    return status["run"]["attempt"] == 2


def seen_until_finished(tenant: Tenant, job: str) -> Iterator[Status]:
    for status in tenant.looks(job, ENDS_WITHIN_S):
        yield status
        if is_finished(status):
            return


def test_a_killed_controller_loses_nothing(sample: Sample, installed: Installation) -> None:
    tenant = sample.tenant
    tenant.apply(sample.job("orphan", sample.data()))
    tenant.await_status("orphan", is_training, "training")
    killed = installed.kill_leader()
    ended = tenant.finished("orphan")
    assert condition(ended, "Succeeded")[0] == "True", ended
    assert len(tenant.stage_jobs("orphan", "train")) == 1
    assert len(tenant.stage_pods("orphan", "train")) == 1
    assert installed.leader() not in {"", killed}


def test_an_image_that_is_not_there_is_shown_and_heals(sample: Sample) -> None:
    tenant = sample.tenant
    job = sample.job("no-image", sample.data())
    job["spec"]["compute"]["image"] = NO_SUCH_IMAGE
    tenant.apply(job)
    tenant.await_status("no-image", is_missing_its_image, "waiting for its image")
    tenant.patch("no-image", {"compute": {"image": None}})
    ended = tenant.finished("no-image")
    assert condition(ended, "Succeeded")[0] == "True", ended


def is_missing_its_image(status: Status) -> bool:
    """Whether a condition names the reason and what to look at."""
    return any(
        one["reason"] == "ImagePull" and NO_SUCH_IMAGE in one["message"]
        for one in status.get("conditions", [])
    )
