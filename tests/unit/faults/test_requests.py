"""What the proxy of the fault suite takes a request for."""

import json

import pytest
from faults.requests import Request, Sort

ROOT = "/apis/tunekeeper.dev/v1alpha1/namespaces/ml/finetunejobs"
JOBS = "/apis/batch/v1/namespaces/ml/jobs"
STATUS = {"status": {"phase": "Running", "run": {"stage": "train", "attempt": 2}}}
LABELS = {"tunekeeper.dev/stage": "prepare", "tunekeeper.dev/attempt": "1"}
LEASES = "/apis/coordination.k8s.io/v1/namespaces/ml/leases"


def asked(method: str, path: str, body: object = None, query: str = "") -> Request:
    return Request(method, path, query, json.dumps(body).encode() if body else b"")


SORTS = {
    "a create": (asked("POST", JOBS), Sort.WRITE),
    "a status": (asked("PUT", f"{ROOT}/a/status"), Sort.WRITE),
    "a delete": (asked("DELETE", f"{JOBS}/a-abcde-r1-train-1"), Sort.WRITE),
    "an event": (asked("POST", "/apis/events.k8s.io/v1/namespaces/ml/events"), Sort.EVENT),
    "a Lease": (asked("PUT", f"{LEASES}/tunekeeper"), Sort.LEASE),
    "a look at the Lease": (asked("GET", f"{LEASES}/tunekeeper"), Sort.LEASE),
    "a watch": (asked("GET", "/api/v1/namespaces/ml/pods", query="watch=true"), Sort.WATCH),
    "a list": (asked("GET", "/api/v1/pods"), Sort.READ),
}


@pytest.mark.parametrize(("request_", "sort"), SORTS.values(), ids=SORTS.keys())
def test_only_writes_of_the_work_are_numbered(request_: Request, sort: Sort) -> None:
    assert request_.sort is sort


def test_a_write_is_named_by_its_stage_and_attempt() -> None:
    status = asked("PUT", f"{ROOT}/a/status", STATUS)
    create = asked("POST", JOBS, {"metadata": {"labels": LABELS}})
    delete = asked("DELETE", f"{JOBS}/a-abcde-r1-train-1")
    assert [f"{one.verb} {one.about}" for one in (status, create, delete)] == [
        "put-status train-2-running",
        "post-jobs prepare-1",
        "delete-jobs 1-train-1",
    ]


def test_the_last_look_before_a_create_is_told_from_a_list() -> None:
    assert asked("GET", f"{ROOT}/a").is_live_look
    assert not asked("GET", ROOT).is_live_look
