"""What the stores keep of an object on the wire."""

import json

import msgspec
from builders.jobs import UID
from builders.kube_jobs import job_document, pod_document, word

from controller.shell.records import Job, JobObject, Pod


def test_the_fields_that_decide_are_decoded_and_all_others_are_skipped() -> None:
    terminated = {"exitCode": 23, "message": word(), "signal": 15, "containerID": "x"}
    document = pod_document(
        "Failed",
        podIP="10.0.0.7",
        qosClass="Burstable",
        containerStatuses=[{"name": "stage", "ready": False, "state": {"terminated": terminated}}],
    )
    pod = msgspec.json.decode(json.dumps(document).encode(), type=Pod)
    assert (pod.status.phase, pod.status.pod_ip, pod.spec.node_name) == (
        "Failed",
        "10.0.0.7",
        "node-1",
    )
    (status,) = pod.status.container_statuses
    assert status.state.terminated is not None
    assert status.state.terminated.exit_code == 23


def test_a_job_that_has_only_been_created_is_one() -> None:
    document = {"metadata": {"name": "a"}, "spec": {"backoffLimit": 0}, "status": {}}
    job = msgspec.json.decode(json.dumps(document).encode(), type=Job)
    assert (job.status.conditions, job.status.active, job.status.terminating) == ([], 0, None)
    counted = job_document(uncountedTerminatedPods={}, terminating=0)
    assert msgspec.convert(counted, Job).status.uncounted_terminated_pods is not None


def test_spec_and_status_of_our_own_kinds_stay_as_they_came() -> None:
    text = b'{"metadata": {"name": "a", "uid": "%s"}, "spec": {"x": [1, 2]}}' % UID.encode()
    stored = msgspec.json.decode(text, type=JobObject)
    assert bytes(stored.spec) == b'{"x": [1, 2]}'
    assert bytes(stored.status) == b"{}"


def test_what_others_noted_on_an_object_is_not_kept() -> None:
    noted = {
        "kubectl.kubernetes.io/last-applied-configuration": "x" * 9,
        "tunekeeper.dev/rerun": "1",
    }
    meta = {"name": "a", "annotations": noted, "labels": {"team": "ml"}}
    document = json.dumps({"metadata": meta, "spec": {}}).encode()
    kept = msgspec.json.decode(document, type=JobObject).metadata
    assert (kept.annotations, kept.labels) == ({"tunekeeper.dev/rerun": "1"}, {})
