"""A job that asks for two GPUs, on a real control plane: one Job, one pod, two ranks.

The pods are run as processes here (``cluster.running``); there is no GPU, so the ranks compute on
the CPU and talk by gloo. Everything else is as with GPUs.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from builders.circle import Circle, End, opened
from cluster.api import Json
from cluster.plane import ControlPlane

Namespaces = Callable[[str], AbstractContextManager[str]]
Seen = tuple[End, list[Json]]


@pytest.fixture(scope="module")
def seen(plane: ControlPlane, new_namespace: Namespaces, tmp_path_factory) -> Seen:
    """The job's end, and the Jobs that led there."""
    folder = tmp_path_factory.mktemp("ranks")
    with new_namespace("ranks") as namespace, opened(plane, namespace, folder) as circle:
        return followed(circle), circle.jobs()


def followed(circle: Circle) -> End:
    """A job with two GPUs, from its manifest to its end."""
    revision = circle.publisher.first()
    spec = circle.job_spec()
    spec["compute"]["gpus"] = 2
    circle.manifests.begin(circle.written_back(), spec, revision)
    circle.apply()
    circle.counted(revision)
    return circle.finished(1)


def test_a_job_with_two_gpus_is_trained_judged_and_promoted(seen: Seen) -> None:
    end, _ = seen
    assert end.status["phase"] == "Succeeded"
    assert end.status["evaluation"]["verdict"] == "Promote"
    assert end.in_use["adapterDigest"] == end.pointer["adapterDigest"]


def test_its_train_stage_is_one_pod_of_two_ranks_and_the_first_attempt(seen: Seen) -> None:
    stages = {job["metadata"]["labels"].get("tunekeeper.dev/stage"): job for job in seen[1]}
    train = stages["train"]
    (container,) = train["spec"]["template"]["spec"]["containers"]
    assert container["command"][-3:] == ["train", "--ranks", "2"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "2"}
    assert (train["spec"]["completions"], train["spec"]["parallelism"]) == (1, 1)
    assert train["status"]["succeeded"] == 1
    assert train["metadata"]["labels"]["tunekeeper.dev/attempt"] == "1"
