"""The whole circle on a real control plane: a base model moves, and what becomes of its job.

Pods are run, not played (``cluster.running``); Git server and object store are real, and every
place has a login of its own. Each story is told once; the tests are claims about it.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import pytest
from builders.circle import Circle, End, opened
from cluster.plane import ControlPlane

Namespaces = Callable[[str], AbstractContextManager[str]]


@dataclass
class Told:
    """What was seen of the story with a write-back."""

    revisions: list[str] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)


@pytest.fixture(scope="module")
def circle_told(plane: ControlPlane, new_namespace: Namespaces, tmp_path_factory) -> Told:
    """The base model moves, says more, breaks; the job follows, stays, and is rolled back."""
    folder = tmp_path_factory.mktemp("circle")
    with new_namespace("circle") as namespace, opened(plane, namespace, folder) as circle:
        told = Told()
        begin(circle, told)
        return told


def begin(circle: Circle, told: Told) -> None:
    told.revisions.append(circle.publisher.first())
    circle.manifests.begin(circle.written_back(), circle.job_spec(), told.revisions[0])
    circle.apply()
    circle.counted(told.revisions[0])
    told.ends.append(circle.finished(1))


def test_the_first_run_is_promoted(circle_told: Told) -> None:
    first = circle_told.ends[0]
    assert first.run["verdict"] == "Promote"
    assert first.in_use["runId"] == first.run["id"]
