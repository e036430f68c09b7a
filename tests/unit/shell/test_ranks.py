"""The train pod of several GPUs: one container, one process for each GPU."""

from typing import Any

import pytest
from builders.jobs import Scene, a_job

from controller.api.status import Images
from controller.core.actions import StartStage
from controller.core.observed import Settings
from controller.shell.template import PodSettings, job_manifest

SETTINGS = Settings(images=Images(cpu="registry/small:1", trainer="registry/big:1"))
SHARED = {"name": "shared-memory", "mountPath": "/dev/shm"}  # noqa: S108 - a pod's
RUN = ["python", "-P", "-m", "trainer"]


def pod_for(gpus: int, stage: str = "train", **compute: Any) -> dict[str, Any]:
    """The pod of a stage of a job with so many GPUs."""
    scene = Scene(job=a_job(compute={"gpus": gpus, **compute}), settings=SETTINGS).stepped()
    for _ in range(["prepare", "train"].index(stage)):
        scene = scene.stepped().succeeded().stepped()
    (action,) = scene.decided().actions
    assert isinstance(action, StartStage)
    pod: dict[str, Any] = job_manifest(scene.job, action, PodSettings())["spec"]["template"]["spec"]
    return pod


COMMANDS = [
    pytest.param(0, [], id="the CPU"),
    pytest.param(1, [], id="one GPU"),
    pytest.param(4, ["--ranks", "4"], id="four GPUs"),
]


@pytest.mark.parametrize(("gpus", "options"), COMMANDS)
def test_a_train_stage_has_a_rank_for_each_gpu(gpus: int, options: list[str]) -> None:
    (container,) = pod_for(gpus)["containers"]
    assert container["command"] == [*RUN, "train", *options]
    assert container["resources"].get("limits", {}) == ({"nvidia.com/gpu": gpus} if gpus else {})


@pytest.mark.parametrize("gpus", [0, 1])
def test_one_process_shares_no_memory(gpus: int) -> None:
    pod = pod_for(gpus)
    assert SHARED not in pod["containers"][0]["volumeMounts"]
    assert [volume["name"] for volume in pod["volumes"]] == ["tmp", "cache"]


def test_ranks_share_memory_that_is_bounded_and_asked_for() -> None:
    pod = pod_for(4)
    (container,) = pod["containers"]
    assert SHARED in container["volumeMounts"]
    assert pod["volumes"][-1] == {
        "name": "shared-memory",
        "emptyDir": {"medium": "Memory", "sizeLimit": "2048Mi"},
    }
    assert container["resources"]["requests"] == {"cpu": "4", "memory": f"{4 * 4096 + 2048}Mi"}


def test_what_the_spec_asks_for_stands() -> None:
    asked = {"requests": {"memory": "64Gi"}}
    (container,) = pod_for(4, resources=asked)["containers"]
    assert container["resources"]["requests"] == {"memory": "64Gi"}


def test_prepare_of_a_job_with_gpus_is_one_process() -> None:
    pod = pod_for(4, "prepare")
    (container,) = pod["containers"]
    assert container["command"] == [*RUN, "prepare"]
    assert [volume["name"] for volume in pod["volumes"]] == ["tmp", "cache"]
