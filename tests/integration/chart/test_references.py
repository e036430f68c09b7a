"""Nobody names a Secret that is not theirs to read, or a ServiceAccount that is not theirs to be.

Alice may get the Secrets that she names; Bob may write jobs and base models, and no more.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from builders.api import a_base_model_document, a_job_document
from builders.policies import bind, give, install, may, path_of, refusal
from cluster.api import ApiFailed, Json
from cluster.plane import ControlPlane
from cluster.process import wait_until

HERS = [f"hers-{number}" for number in range(19)]
S3 = "s3://bucket/place"


def job(name: str = "probe", **spec: Any) -> Json:
    return a_job_document(name, **spec)


def reading(secret: str) -> Json:
    return {"train": {"uri": S3}, "storage": {"secretRef": {"name": secret}}}


WRITES_JOBS = {
    "apiGroups": ["tunekeeper.dev"],
    "resources": ["finetunejobs", "basemodels"],
    "verbs": ["create", "update", "patch"],
}
READS_HERS = {
    "apiGroups": [""],
    "resources": ["secrets"],
    "resourceNames": HERS,
    "verbs": ["get"],
}
IS_HERS = {
    "apiGroups": [""],
    "resources": ["serviceaccounts"],
    "resourceNames": ["hers"],
    "verbs": ["impersonate"],
}


@pytest.fixture(scope="module")
def guarded(
    plane: ControlPlane, new_namespace: Callable[[str], AbstractContextManager[str]]
) -> Iterator[str]:
    """A namespace where the policy on references holds, and two people who write jobs."""
    with new_namespace("references") as namespace:
        give(plane, namespace, "alice", [WRITES_JOBS, READS_HERS, IS_HERS])
        give(plane, namespace, "bob", [WRITES_JOBS])
        install(plane, namespace)
        probe = job(dataset=reading("theirs"))
        wait_until(lambda: refusal(plane.api_of("bob"), namespace, probe), "the policy holds", 60)
        yield namespace


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(job(dataset=reading(HERS[0])), id="data"),
        pytest.param(
            job(output={"uri": S3, "storage": {"secretRef": {"name": HERS[0]}}}), id="output"
        ),
        pytest.param(
            job(baseModel={"huggingFace": {"repo": "a/b", "secretRef": {"name": HERS[0]}}}),
            id="hub of a job",
        ),
        pytest.param(
            job(baseModel={"git": {"url": "https://g.x/a.git", "secretRef": {"name": HERS[0]}}}),
            id="Git of a job",
        ),
        pytest.param(
            job(baseModel={"s3": {"uri": S3, "storage": {"secretRef": {"name": HERS[0]}}}}),
            id="S3 of a job",
        ),
        pytest.param(job(compute={"imagePullSecrets": [{"name": HERS[0]}]}), id="pulling images"),
        pytest.param(
            a_base_model_document(
                source={"huggingFace": {"repo": "a/b", "secretRef": {"name": HERS[0]}}}
            ),
            id="hub of a base model",
        ),
        pytest.param(
            a_base_model_document(
                source={"git": {"url": "https://g.x/a.git", "secretRef": {"name": HERS[0]}}}
            ),
            id="Git of a base model",
        ),
        pytest.param(
            a_base_model_document(
                source={"s3": {"uri": S3, "storage": {"secretRef": {"name": HERS[0]}}}}
            ),
            id="S3 of a base model",
        ),
        pytest.param(
            a_base_model_document(
                writeBack={
                    "git": {
                        "url": "https://g.x/a.git",
                        "branch": "main",
                        "secretRef": {"name": HERS[0]},
                    }
                }
            ),
            id="write-back",
        ),
    ],
)
def test_a_secret_may_be_named_by_who_may_get_it(
    plane: ControlPlane, guarded: str, document: Json
) -> None:
    assert refusal(plane.api_of("alice"), guarded, document) == ""
    said = refusal(plane.api_of("bob"), guarded, document)
    assert f"the spec names the Secrets {HERS[0]}; whoever writes it must be allowed to" in said


@pytest.mark.parametrize(("last", "may"), [(HERS[18], True), ("theirs", False)])
def test_each_of_as_many_secrets_as_a_job_can_name_is_asked_for(
    plane: ControlPlane, guarded: str, last: str, may: bool
) -> None:
    storage = {"secretRef": {"name": HERS[0]}}
    document = job(
        baseModel={"s3": {"uri": S3, "storage": storage}},
        dataset=reading(HERS[1]),
        output={"uri": "s3://bucket/results", "storage": storage},
        compute={
            "imagePullSecrets": [*({"name": name} for name in HERS[3:18]), {"name": last}],
            "serviceAccountName": "hers",
        },
    )
    assert (refusal(plane.api_of("alice"), guarded, document) == "") is may


def test_a_service_account_may_be_named_by_who_may_be_it(plane: ControlPlane, guarded: str) -> None:
    document = job(compute={"serviceAccountName": "hers"})
    assert refusal(plane.api_of("alice"), guarded, document) == ""
    said = refusal(plane.api_of("bob"), guarded, document)
    assert "compute.serviceAccountName is hers; whoever writes it must be allowed to" in said


def test_who_names_nothing_may_write(plane: ControlPlane, guarded: str) -> None:
    assert refusal(plane.api_of("bob"), guarded, job()) == ""
    assert refusal(plane.api_of("bob"), guarded, a_base_model_document()) == ""


def test_another_may_annotate_a_job_but_not_point_it_elsewhere(
    plane: ControlPlane, guarded: str
) -> None:
    plane.api_of("alice").post(
        path_of("FineTuneJob", guarded), job("kept", dataset=reading(HERS[0]))
    )
    path, bob = f"{path_of('FineTuneJob', guarded)}/kept", plane.api_of("bob")
    bob.patch(path, {"metadata": {"annotations": {"tunekeeper.dev/rerun": "1"}}})
    with pytest.raises(ApiFailed, match="names the Secrets hers-0"):
        bob.patch(path, {"spec": {"dataset": {"storage": {"endpoint": "https://bobs.example"}}}})
    plane.api_of("alice").patch(path, {"spec": {"suspend": True}})


@pytest.mark.parametrize(
    ("role", "rights", "others"),
    [
        pytest.param("view", ["get"], ["create", "delete"], id="view"),
        pytest.param("edit", ["get", "create", "delete"], [], id="edit"),
        pytest.param("admin", ["get", "create", "delete"], [], id="admin"),
    ],
)
def test_the_built_in_roles_have_both_kinds(
    plane: ControlPlane, guarded: str, role: str, rights: list[str], others: list[str]
) -> None:
    bind(plane, guarded, f"a-{role}", {"kind": "ClusterRole", "name": role})
    kinds = ("tunekeeper.dev/finetunejobs", "tunekeeper.dev/basemodels")
    for right in (f"{verb} {kind}" for verb in rights for kind in kinds):
        wait_until(lambda asked=right: may(plane, f"a-{role}", guarded, asked), right)
    assert not any(
        may(plane, f"a-{role}", guarded, f"{o} {kind}") for o in others for kind in kinds
    )


@pytest.mark.parametrize("right", ["get /secrets", "impersonate /serviceaccounts"])
def test_the_policy_takes_nothing_from_the_roles_edit_and_admin(
    plane: ControlPlane, guarded: str, right: str
) -> None:
    for role in ("edit", "admin"):
        user = f"{right.split(maxsplit=1)[0]}-{role}"
        bind(plane, guarded, user, {"kind": "ClusterRole", "name": role})
        wait_until(lambda who=user: may(plane, who, guarded, right), f"{user} may {right}")
