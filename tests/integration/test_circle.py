"""The whole circle on a real control plane: a base model moves, and what becomes of its job.

Pods are run, not played (``cluster.running``); Git server and object store are real, and every
place has a login of its own. Each story is told once; the tests are claims about it.
"""

import base64
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import pytest
from builders.circle import Circle, End, condition, git_secrets, opened, reason
from builders.releases import BASE, PUSH_BRANCH, a_job, an_object
from cluster.api import Json
from cluster.plane import ControlPlane

AUTO = {"policy": "Auto", "minPeriodSeconds": 0}
Namespaces = Callable[[str], AbstractContextManager[str]]


@dataclass
class Told:
    """What was seen of the story with a write-back."""

    revisions: list[str] = field(default_factory=list)
    """First release, trained more, spoilt."""
    ends: list[End] = field(default_factory=list)
    """Of the three runs, and after the pin."""
    looks: list[list[Json]] = field(default_factory=list)
    """Versions of the base model while it moved, and while a README was edited."""
    behind: Json = field(default_factory=dict)
    waiting: tuple[str, str] = ("", "")
    """The manifests on main and on the push branch before the merge."""
    commit: str = ""
    asked_by_readme: list[Json] = field(default_factory=list)
    """Jobs that the edit of a README made."""
    heads: list[str] = field(default_factory=list)
    """Of the push branch, before and after the README."""
    events: list[Json] = field(default_factory=list)
    left: list[Json] = field(default_factory=list)
    kept: Json = field(default_factory=dict)
    """The pointer after both objects were deleted."""
    said: str = ""
    passwords: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def told(plane: ControlPlane, new_namespace: Namespaces, tmp_path_factory) -> Told:
    """The base model moves, says more, breaks; the job follows, stays, and is rolled back."""
    folder = tmp_path_factory.mktemp("circle")
    told = Told()
    with new_namespace("circle") as namespace, opened(plane, namespace, folder) as circle:
        begin(circle, told)
        move(circle, told)
        edit_readme(circle, told)
        spoil(circle, told)
        roll_back(circle, told)
        end(circle, told)
    return told


def begin(circle: Circle, told: Told) -> None:
    told.revisions.append(circle.publisher.first())
    circle.manifests.begin(circle.written_back(), circle.job_spec(), told.revisions[0])
    circle.apply()
    circle.counted(told.revisions[0])
    told.ends.append(circle.finished(1))


def move(circle: Circle, told: Told) -> None:
    before = circle.base()
    told.revisions.append(circle.publisher.train_more())
    circle.ask_to_look("there is a new one")
    circle.counted(told.revisions[1])
    told.looks.append(circle.versions(before))
    told.behind = circle.behind()
    told.waiting = (circle.manifests.text(), circle.manifests.text(PUSH_BRANCH))
    told.commit = circle.manifests.repository.show("%B", PUSH_BRANCH)
    circle.manifests.merge()
    circle.apply()
    told.ends.append(circle.finished(2))


def edit_readme(circle: Circle, told: Told) -> None:
    before, jobs = circle.base(), {job["metadata"]["uid"] for job in circle.jobs()}
    told.heads.append(circle.manifests.repository.head(PUSH_BRANCH))
    circle.publisher.edit_readme()
    circle.looked("the README says more")
    told.heads.append(circle.manifests.repository.head(PUSH_BRANCH))
    told.looks.append(circle.versions(before))
    told.asked_by_readme = [job for job in circle.jobs() if job["metadata"]["uid"] not in jobs]


def spoil(circle: Circle, told: Told) -> None:
    told.revisions.append(circle.publisher.spoil())
    circle.ask_to_look("there is another one")
    circle.counted(told.revisions[2])
    circle.manifests.merge()
    circle.apply()
    told.ends.append(circle.finished(3))


def roll_back(circle: Circle, told: Told) -> None:
    circle.manifests.pin(told.ends[0].run["id"])
    circle.apply()
    told.ends.append(circle.finished(3, "RolledBack"))


def end(circle: Circle, told: Told) -> None:
    told.events = circle.events("RolledBack")
    objects = [circle.base(), circle.job(), *circle.children(), *told.events]
    told.said, told.passwords = f"{json.dumps(objects)}\n{circle.logs()}", circle.passwords()
    told.left = circle.deleted()
    told.kept = circle.pointer()


def test_the_first_run_is_promoted(told: Told) -> None:
    first = told.ends[0]
    assert first.run["verdict"] == "Promote"
    assert first.run["baseModel"]["revision"] == told.revisions[0]
    assert first.in_use["runId"] == first.run["id"]


def test_whenever_the_job_is_finished_its_status_and_the_store_name_the_same_adapter(
    told: Told,
) -> None:
    for seen in told.ends:
        shared = seen.in_use.keys() & seen.pointer.keys()
        assert {"runId", "sequence", "adapterURI", "adapterDigest"} <= shared
        assert {key: seen.in_use[key] for key in shared} == {
            key: seen.pointer[key] for key in shared
        }


def test_a_new_revision_is_a_candidate_until_a_second_look(told: Told) -> None:
    seen = [version.get("status", {}) for version in told.looks[0]]
    candidates = [one["candidate"] for one in seen if one.get("candidate")]
    assert {one["revision"] for one in candidates} == {told.revisions[1]}
    assert len({one["errand"]["number"] for one in seen}) == 4  # of before, two looks, a commit
    assert seen[-1]["latest"]["revision"] == told.revisions[1]
    assert [entry["revision"] for entry in seen[-1]["history"]] == [told.revisions[0]]


def test_the_job_says_that_it_is_behind_and_stays_until_the_merge(told: Told) -> None:
    assert (told.behind["status"], told.behind["reason"]) == ("False", "NewRevisionAvailable")
    assert all(revision in told.behind["message"] for revision in told.revisions[:2])
    assert told.revisions[0] in told.waiting[0]


def test_the_commit_changes_the_marked_revision_and_nothing_else(told: Told) -> None:
    before, after = told.waiting
    assert after == before.replace(told.revisions[0], told.revisions[1])
    assert after != before
    assert f"{told.revisions[0]} -> {told.revisions[1]}" in told.commit


def test_the_second_run_is_held_against_the_promoted_one_and_replaces_it(told: Told) -> None:
    first, second = told.ends[:2]
    assert second.run["baseModel"]["revision"] == told.revisions[1]
    held = {one["arm"]: one for one in second.status["evaluation"]["comparisons"]}
    assert (held["Promoted"]["require"], held["Promoted"]["passed"]) == ("NotWorse", True)
    assert second.run["verdict"] == "Promote"
    assert second.in_use["runId"] == second.run["id"] != first.run["id"]
    assert second.in_use["baseRevision"] == told.revisions[1]


def test_an_edited_readme_makes_nothing_but_a_look(told: Told) -> None:
    labels = [job["metadata"]["labels"] for job in told.asked_by_readme]
    assert [one.get("tunekeeper.dev/errand") for one in labels] == ["resolve"]
    assert not any(version["status"].get("candidate") for version in told.looks[1])
    assert {version["status"]["latest"]["revision"] for version in told.looks[1]} == {
        told.revisions[1]
    }
    assert told.heads[0] == told.heads[1] != ""


def test_on_a_spoilt_revision_the_adapter_is_not_promoted(told: Told) -> None:
    second, third = told.ends[1:3]
    assert third.run["baseModel"]["revision"] == told.revisions[2]
    assert third.run["verdict"] in ("Reject", "Inconclusive")
    assert third.in_use == second.in_use
    assert condition(third.status, "Succeeded")["status"] == "True"  # it was judged


def test_a_pin_rolls_back_without_another_run(told: Told) -> None:
    first, _, third, back = told.ends
    assert back.in_use["runId"] == first.run["id"]
    assert back.in_use["adapterDigest"] == first.in_use["adapterDigest"]
    assert back.in_use["sequence"] > third.in_use["sequence"]
    assert back.run["number"] == 3
    assert reason(back.status, "Promoted") == "RolledBack"


def test_events_tell_the_story(told: Told) -> None:
    wanted = ["RunStarted", "Promote", "NewRevisionAvailable", "WrittenBack", "RolledBack"]
    seen = {event["reason"] for event in told.events}
    assert [each for each in wanted if each not in seen] == []


def test_what_was_owned_goes_with_both_objects_and_the_results_stay(told: Told) -> None:
    assert told.left == []
    assert told.kept == told.ends[-1].pointer


def test_no_password_is_told_to_anybody(told: Told) -> None:
    written = [*told.passwords, *(base64.b64encode(p.encode()).decode() for p in told.passwords)]
    assert len(told.passwords) == 4
    assert "tunekeeper.dev/errand" in told.said
    assert [password for password in written if password in told.said] == []


@dataclass(frozen=True)
class Followed:
    """What was seen of a job that follows its base model by itself."""

    revisions: list[str]
    ends: list[End]
    specs: list[Json]
    locked_out: Json
    """The base model's Ready while its Secret was not there."""
    left: list[Json]
    """After both objects were deleted while a pod was at work."""


@pytest.fixture(scope="module")
def followed(plane: ControlPlane, new_namespace: Namespaces, tmp_path_factory) -> Followed:
    """Policy Auto, and nobody who commits."""
    folder = tmp_path_factory.mktemp("auto")
    with new_namespace("circle-auto") as namespace, opened(plane, namespace, folder) as circle:
        revisions = [circle.publisher.first()]
        locked_out = locked_out_at_first(plane, circle)
        follows = {"baseModel": {"name": BASE}, "retrain": AUTO}
        apply(plane, namespace, a_job({**circle.job_spec(), **follows}))
        ends, specs = [circle.finished(1)], [circle.job()["spec"]]
        revisions.append(circle.publisher.train_more())
        circle.ask_to_look("there is a new one")
        ends.append(circle.finished(2))
        specs.append(circle.job()["spec"])
        circle.begun_again()
        return Followed(revisions, ends, specs, locked_out, circle.deleted())


def locked_out_at_first(plane: ControlPlane, circle: Circle) -> Json:
    """The base model without the Secret of its repository, and with it."""
    circle.remove_secret("models")
    apply(plane, circle.namespace, an_object("BaseModel", BASE, circle.base_spec()))
    locked_out = circle.ready("SecretNotFound")
    circle.add_secret("models", git_secrets()["models"])
    circle.ask_to_look("the Secret is there")
    circle.ready("Resolved")
    return locked_out


def apply(plane: ControlPlane, namespace: str, document: Json) -> None:
    plane.kubectl("apply", "-n", namespace, "-f", "-", stdin=document)


def test_a_job_of_policy_auto_trains_on_the_new_revision_by_itself(followed: Followed) -> None:
    runs = [seen.run for seen in followed.ends]
    assert [run["baseModel"]["revision"] for run in runs] == followed.revisions
    assert runs[1]["trigger"] == "BaseModel"
    assert [run["verdict"] for run in runs] == ["Promote", "Promote"]
    assert followed.ends[1].pointer["runId"] == runs[1]["id"]
    assert followed.specs[0] == followed.specs[1]


def test_a_base_model_waits_for_the_secret_of_its_repository(followed: Followed) -> None:
    assert followed.locked_out["status"] == "False"
    assert "Secret models" in followed.locked_out["message"]


def test_what_is_deleted_while_a_pod_is_at_work_is_ended_and_gone(followed: Followed) -> None:
    assert followed.left == []
