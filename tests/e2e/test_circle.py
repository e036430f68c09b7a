"""The circle once, in real pods: a base model moves, a merge retrains, a pin rolls back."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from builders.circle import Circle, End, condition, git_secrets, reason, repositories
from builders.releases import PUSH_BRANCH
from cluster.gitserver import GitServer
from e2e.installation import Installation
from e2e.objects import Objects
from e2e.tenant import Tenant

# The namespace first: what a story that fails leaves is looked for there.
pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("tenant")]


@dataclass(frozen=True)
class Told:
    """What was seen."""

    revisions: tuple[str, str]
    behind: str
    """Why the job is not current, before the merge."""
    waiting: tuple[str, str]
    """The manifests on main and on the push branch, before the merge."""
    first: End
    second: End
    back: End


@pytest.fixture(scope="module")
def git(installed: Installation, tmp_path_factory) -> Iterator[GitServer]:
    """A Git server as pods reach it."""
    server = GitServer(tmp_path_factory.mktemp("git"), seen_at=installed.node.host)
    yield server
    server.close()


@pytest.fixture(scope="module")
def circle(git: GitServer, tenant: Tenant, objects: Objects, tmp_path_factory) -> Circle:
    """Both repositories and their Secrets, and no objects yet."""
    folder: Path = tmp_path_factory.mktemp("circle")
    places = (*repositories(git, folder, tenant.namespace), objects)
    circle = Circle(tenant.plane, tenant.namespace, *places)
    for name, values in git_secrets().items():
        circle.add_secret(name, values)
    return circle


@pytest.fixture(scope="module")
def told(circle: Circle) -> Told:
    """Trained, moved, merged, trained again, rolled back."""
    first_revision = circle.publisher.first()
    circle.manifests.begin(circle.written_back(), circle.job_spec(), first_revision)
    circle.apply()
    circle.counted(first_revision)
    first = circle.finished(1)

    second_revision = circle.publisher.train_more()
    circle.ask_to_look("there is a new one")
    circle.counted(second_revision)
    behind = str(circle.behind()["message"])
    waiting = (circle.manifests.text(), circle.manifests.text(PUSH_BRANCH))
    circle.manifests.merge()
    circle.apply()
    second = circle.finished(2)

    circle.manifests.pin(first.run["id"])
    circle.apply()
    back = circle.finished(2, "RolledBack")
    return Told((first_revision, second_revision), behind, waiting, first, second, back)


def test_the_first_run_is_promoted(told: Told) -> None:
    assert told.first.run["verdict"] == "Promote", told.first.status["evaluation"]
    assert told.first.in_use["runId"] == told.first.run["id"]


def test_the_job_is_behind_until_the_commit_is_merged(told: Told) -> None:
    assert all(revision in told.behind for revision in told.revisions)
    main, pushed = told.waiting
    assert pushed == main.replace(*told.revisions) != main


def test_the_merge_is_a_second_run_that_is_promoted(told: Told) -> None:
    second = told.second
    assert second.run["baseModel"]["revision"] == told.revisions[1]
    assert second.run["verdict"] == "Promote", second.status["evaluation"]
    assert second.in_use["runId"] == second.run["id"] != told.first.run["id"]
    assert condition(second.status, "BaseModelCurrent")["status"] == "True"


def test_a_pin_rolls_back_to_the_first(told: Told) -> None:
    assert told.back.in_use["runId"] == told.first.run["id"]
    assert told.back.in_use["sequence"] > told.second.in_use["sequence"]
    assert reason(told.back.status, "Promoted") == "RolledBack"


def test_status_and_store_agree_at_each_end(told: Told) -> None:
    for seen in (told.first, told.second, told.back):
        names = ("runId", "sequence", "adapterDigest")
        assert [seen.in_use[name] for name in names] == [seen.pointer[name] for name in names]


def test_both_objects_can_be_deleted_and_leave_nothing(told: Told, circle: Circle) -> None:
    assert told.back.in_use
    assert circle.deleted() == []
    assert circle.pointer() == told.back.pointer
