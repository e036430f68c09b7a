"""A train stage in a queue of Kueue: the API server and the Job controller are real."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from builders.operated import Desk, operated
from cluster.api import Json
from cluster.kueue import NO_QUOTA, PREEMPTED, QUEUE_LABEL, Kueue
from cluster.plane import ControlPlane
from cluster.pod import Pod
from cluster.process import wait_until

QUEUED = {"gpus": 1, "queueName": "gpus"}
REPLACED_S = 60.0
"""The Job controller waits ten seconds and more before it replaces a pod that failed."""


@contextmanager
def in_queue(
    plane: ControlPlane, namespace: str, **settings: object
) -> Iterator[tuple[Desk, Kueue]]:
    """A job whose train stage has been created for the queue."""
    with operated(plane, namespace, gpus=1, **settings) as desk:
        desk.apply(compute=QUEUED)
        desk.kubelet.pod("prepare").running().succeeded()
        yield desk, Kueue(plane.api, namespace)


def message(desk: Desk) -> str:
    return str(desk.condition("Finished")["message"])


def until_message(desk: Desk, part: str) -> Json:
    def is_told(status: Json) -> bool:
        said = (one["message"] for one in status["conditions"] if one["type"] == "Finished")
        return status["phase"] == "Queued" and part in next(said, "")

    return desk.until(is_told, f"the message has {part}")


def train_pod(desk: Desk, attempt: int = 1) -> Pod:
    return desk.kubelet.pod("train", attempt=attempt, timeout_s=REPLACED_S)


def finish(desk: Desk, pod: Pod) -> Json:
    pod.running().succeeded()
    desk.kubelet.pod("judge").running().succeeded()
    return desk.until_phase("Succeeded", "Promote")


def attempts(desk: Desk, stage: str = "train") -> list[str]:
    jobs = (job["metadata"]["labels"] for job in desk.jobs())
    return [one["tunekeeper.dev/attempt"] for one in jobs if one["tunekeeper.dev/stage"] == stage]


def test_train_waits_to_be_admitted_and_then_runs_where_kueue_put_it(
    plane: ControlPlane, namespace: str
) -> None:
    with in_queue(plane, namespace) as (desk, kueue):
        job = kueue.job()
        assert job["metadata"]["labels"][QUEUE_LABEL] == "gpus"
        desk.until_phase("Queued", "NotAdmitted")
        assert desk.condition("Stalled") == {}
        assert desk.condition("Reconciling")["status"] == "True"
        assert desk.kubelet.pods("train") == []
        kueue.refuse(job)
        kueue.admit(job)
        pod = train_pod(desk)
        assert pod.spec["nodeSelector"] == {"pool": "a100"}
        pod.running()
        desk.until_phase("Running", "Training")
        finish(desk, pod)
        assert len(desk.events("NotAdmitted")) == 1
        assert desk.events("NotAdmitted")[0]["type"] == "Normal"
        others = [one for one in desk.jobs() if one["metadata"]["uid"] != job["metadata"]["uid"]]
        assert [QUEUE_LABEL in one["metadata"]["labels"] for one in others] == [False, False]


def test_kueues_own_words_are_shown(plane: ControlPlane, namespace: str) -> None:
    with in_queue(plane, namespace, pending_grace_s=2) as (desk, kueue):
        kueue.refuse(kueue.job())
        until_message(desk, NO_QUOTA)
        assert "queue gpus" in message(desk)


def test_a_preempted_attempt_goes_on_in_a_second_pod_of_the_same_job(
    plane: ControlPlane, namespace: str
) -> None:
    with in_queue(plane, namespace) as (desk, kueue):
        job = kueue.job()
        kueue.admit(job)
        pod = train_pod(desk).running()
        desk.until_phase("Running", "Training")
        kueue.preempt(job)
        pod.gone()  # it said that it was interrupted, with the exit code of that
        status = until_message(desk, "was preempted by Kueue")
        assert (status["run"]["attempt"], status["run"].get("failures", 0)) == (1, 0)
        until_message(desk, PREEMPTED)
        kueue.admit(job)
        second = train_pod(desk)
        assert second.uid != pod.uid
        assert second.request == pod.request  # the same attempt: its claim's epoch tells them apart
        status = finish(desk, second)
        assert attempts(desk) == ["1"]
        assert status["run"].get("failures", 0) == 0
        assert status["cost"].get("wastedGpuSeconds", "0") == "0"
        assert not desk.events("Interrupted")


@pytest.mark.parametrize("is_scheduled", [False, True], ids=["without a node", "pulling its image"])
def test_a_pod_that_is_preempted_before_it_runs_counts_as_no_failure(
    plane: ControlPlane, namespace: str, *, is_scheduled: bool
) -> None:
    with in_queue(plane, namespace) as (desk, kueue):
        job = kueue.job()
        kueue.admit(job)
        pod = train_pod(desk)
        if is_scheduled:
            pod.cannot_pull()
        kueue.preempt(job)
        pod.gone()
        # One whose container was made ends by SIGKILL's code, as out of memory does, so that its
        # Job fails; the next attempt takes its place in the queue.
        attempt = 2 if is_scheduled else 1
        again = kueue.job(attempt)
        desk.until_phase("Queued", "NotAdmitted")
        kueue.admit(again)
        status = finish(desk, train_pod(desk, attempt))
        assert status["run"].get("failures", 0) == 0


def test_suspending_the_object_ends_the_wait_and_resuming_begins_it_again(
    plane: ControlPlane, namespace: str
) -> None:
    with in_queue(plane, namespace) as (desk, kueue):
        job = kueue.job()
        desk.until_phase("Queued", "NotAdmitted")
        desk.edit(suspend=True)
        desk.until_phase("Suspended")
        kueue.let_go(job)  # held by its Workload until Kueue lets it go
        wait_until(lambda: kueue.seen(job) is None, "the Job is gone")
        desk.edit(suspend=False)
        again = kueue.job()
        kueue.admit(again)
        status = finish(desk, train_pod(desk))
        assert status["run"].get("failures", 0) == 0


def test_suspending_the_object_while_it_runs_leads_to_the_next_attempt(
    plane: ControlPlane, namespace: str
) -> None:
    with in_queue(plane, namespace) as (desk, kueue):
        job = kueue.job()
        kueue.admit(job)
        pod = train_pod(desk).running()
        desk.until_phase("Running", "Training")
        desk.edit(suspend=True)
        pod.gone()
        kueue.let_go(job)
        wait_until(lambda: kueue.seen(job) is None, "the Job is gone")
        desk.until_phase("Suspended")
        desk.edit(suspend=False)
        again = kueue.job(2)
        kueue.admit(again)
        status = finish(desk, train_pod(desk, 2))
        assert status["run"].get("failures", 0) == 0


def test_a_job_that_is_deleted_while_it_waits_leaves_nothing(
    plane: ControlPlane, namespace: str
) -> None:
    with in_queue(plane, namespace) as (desk, kueue):
        job = kueue.job()
        desk.until_phase("Queued", "NotAdmitted")
        plane.api.delete(desk.path())
        kueue.let_go(job)
        wait_until(lambda: desk.jobs() == [], "its Jobs are gone")


def test_another_queue_replaces_the_attempt_that_waits(plane: ControlPlane, namespace: str) -> None:
    with in_queue(plane, namespace) as (desk, kueue):
        job = kueue.job()
        desk.until_phase("Queued", "NotAdmitted")
        desk.edit(compute={"queueName": "other"})
        wait_until(lambda: "deletionTimestamp" in kueue.seen(job)["metadata"], "it has to go")
        kueue.let_go(job)
        wait_until(lambda: kueue.seen(job) is None, "the Job is gone")
        again = kueue.job()
        assert again["metadata"]["labels"][QUEUE_LABEL] == "other"
        until_message(desk, "queue other")
        assert desk.status()["run"]["number"] == 1


def test_a_restarted_operator_writes_nothing_about_what_waits(
    plane: ControlPlane, namespace: str
) -> None:
    with in_queue(plane, namespace) as (desk, kueue):
        kueue.refuse(kueue.job())
        desk.until_phase("Queued", "NotAdmitted")
        desk.stop()
        before = plane.api.get(desk.path(""))
        words = message(desk)
        desk.start()
        lines = [desk.writes(path, before, seconds=3) for path in (desk.path(""), desk.jobs_path)]
        told = [line["object"]["status"]["conditions"] for line in lines[0]]
        assert not told or NO_QUOTA not in words  # Kueue's words may be news, nothing else
        assert lines[1] == []


def test_a_job_that_waits_for_kueue_holds_no_place_of_another(
    plane: ControlPlane, namespace: str
) -> None:
    with in_queue(plane, namespace, max_concurrent_runs=1) as (desk, kueue):
        job = kueue.job()
        desk.until_phase("Queued", "NotAdmitted")
        desk.apply("second")
        desk.kubelet.pod("prepare", job="second").running()
        desk.until_phase("Running", name="second")
        kueue.admit(job)  # Kueue is the quota: what it admits runs
        train_pod(desk).running()
        desk.until_phase("Running", "Training")


def test_a_job_that_somebody_else_created_suspended_is_shown_and_never_resumed(
    plane: ControlPlane, namespace: str
) -> None:
    undo = suspend_jobs(plane, namespace)  # as Kueue where it manages Jobs without a queue name
    try:
        with operated(plane, namespace) as desk:
            desk.apply()
            desk.until_phase("Queued", "NotAdmitted")
            assert "suspended by somebody else" in message(desk)
            (job,) = desk.jobs()
            before = plane.api.get(desk.path(""))
            assert desk.writes(desk.path(""), before, seconds=2) == []
            assert desk.jobs()[0]["spec"]["suspend"] is True
            path = f"{desk.jobs_path}/{job['metadata']['name']}"
            plane.api.patch(path, {"spec": {"suspend": False}})
            desk.kubelet.pod("prepare").running()
            desk.until_phase("Running", "Preparing")
    finally:
        undo()


def test_a_job_without_a_queue_that_is_suspended_while_it_runs_is_followed_by_another(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        desk.apply()
        pod = desk.kubelet.pod("prepare").running()
        (job,) = desk.jobs()
        path = f"{desk.jobs_path}/{job['metadata']['name']}"
        plane.api.patch(path, {"spec": {"suspend": True}})
        pod.gone()
        status = desk.until(lambda s: s["run"]["attempt"] == 2, "the next attempt is recorded")
        assert status["run"].get("failures", 0) == 0
        assert plane.api.get(path)["spec"]["suspend"] is True


def suspend_jobs(plane: ControlPlane, namespace: str) -> Callable[[], None]:
    """A policy that has every new Job of the namespace suspended; returns what removes it."""
    root = "/apis/admissionregistration.k8s.io/v1"
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"]}
    patch = "Object{spec: Object.spec{suspend: true}}"
    policy = {
        "metadata": {"name": namespace},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {"resourceRules": [rule | {"resources": ["jobs"]}]},
            "mutations": [
                {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": patch}}
            ],
        },
    }
    where = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    binding = {
        "metadata": {"name": namespace},
        "spec": {"policyName": namespace, "matchResources": {"namespaceSelector": where}},
    }
    kinds = ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings")
    for kind, body in zip(kinds, (policy, binding), strict=True):
        plane.api.post(f"{root}/{kind}", body)
    jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs?dryRun=All"
    container = {"name": "x", "image": "x"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    probe = {"metadata": {"generateName": "probe-"}, "spec": {"template": template}}
    wait_until(lambda: plane.api.post(jobs, probe)["spec"].get("suspend"), "the policy is in force")

    def undo() -> None:
        for kind in kinds:
            plane.api.delete(f"{root}/{kind}/{namespace}")

    return undo
