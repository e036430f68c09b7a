"""A train stage in a queue of Kueue: the API server and the Job controller are real."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from builders.operated import Desk, operated
from cluster.api import Json
from cluster.kueue import NO_QUOTA, PREEMPTED, QUEUE_LABEL, Kueue
from cluster.plane import ControlPlane
from cluster.pod import KILLED, Last, Pod, now
from cluster.process import wait_until

from trainer.contract.failures import EXIT_CODES, FailureClass

QUEUED = {"gpus": 1, "queueName": "gpus"}


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
    return desk.kubelet.pod("train", attempt=attempt)


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


def take_away(desk: Desk, kueue: Kueue, job: Json, pod: Pod, last: Last) -> None:
    """Preempted; the pod ends like that, and the Job controller has seen it before it is gone."""
    desk.kubelet.holds_deleted = True
    kueue.preempt(job)
    until_message(desk, "is being preempted by Kueue")
    pod.ended(last)
    wait_until(lambda: not kueue.seen(job)["status"]["terminating"], "its end was seen")
    desk.kubelet.let_go()
    pod.gone()


def interrupted(pod: Pod) -> Last:
    word = pod.word(failure=FailureClass.INTERRUPTED, message="told to stop", checkpoint_step=7)
    return Last(EXIT_CODES[FailureClass.INTERRUPTED], word)


def test_a_preempted_attempt_goes_on_in_a_second_pod_of_the_same_job(
    plane: ControlPlane, namespace: str
) -> None:
    with in_queue(plane, namespace, events_period_s=0.05) as (desk, kueue):
        job = kueue.job()
        kueue.admit(job)
        pod = train_pod(desk).running()
        desk.until_phase("Running", "Training")
        take_away(desk, kueue, job, pod, interrupted(pod))
        status = until_message(desk, "was preempted by Kueue")
        assert (status["run"]["attempt"], status["run"]["failures"]) == (1, 0)
        assert status["run"]["preempted"]["count"] == 1
        until_message(desk, PREEMPTED)
        kueue.admit(job)
        second = train_pod(desk)
        assert second.uid != pod.uid
        assert second.request == pod.request  # the same attempt: its claim's epoch tells them apart
        status = finish(desk, second)
        assert attempts(desk) == ["1"]
        assert status["run"]["failures"] == 0
        assert status["cost"]["wastedGpuSeconds"] == "0"
        assert not desk.events("Interrupted")


def test_what_a_preempted_pod_took_is_counted_by_an_operator_that_never_saw_it(
    plane: ControlPlane, namespace: str
) -> None:
    with in_queue(plane, namespace) as (desk, kueue):
        job = kueue.job()
        kueue.admit(job)
        pod = train_pod(desk).running()
        desk.until_phase("Running", "Training")
        began = pod.seen()["status"]["startTime"]
        wait_until(lambda: now() > began, "a second has passed")
        take_away(desk, kueue, job, pod, interrupted(pod))
        status = until_message(desk, "was preempted by Kueue")
        counted = float(status["run"]["preempted"]["seconds"])
        assert counted >= 1
        desk.stop()
        desk.start()
        kueue.admit(job)
        status = finish(desk, train_pod(desk))
        assert float(status["cost"]["gpuSeconds"]) >= counted
        assert "preempted" not in status["run"]


def test_a_pod_that_is_killed_while_it_is_preempted_counts_as_no_failure(
    plane: ControlPlane, namespace: str
) -> None:
    with in_queue(plane, namespace) as (desk, kueue):
        job = kueue.job()
        kueue.admit(job)
        pod = train_pod(desk).running()
        desk.until_phase("Running", "Training")
        # SIGKILL's code, as out of memory has it: the Job fails, and another waits in the queue.
        take_away(desk, kueue, job, pod, Last(KILLED, reason="Error"))
        again = kueue.job(2)
        status = desk.until_phase("Queued", "NotAdmitted")
        assert (status["run"]["attempt"], status["run"]["failures"]) == (2, 0)
        kueue.admit(again)
        finish(desk, train_pod(desk, 2))


def test_a_pod_that_is_preempted_before_it_has_a_node_leaves_no_trace(
    plane: ControlPlane, namespace: str
) -> None:
    with in_queue(plane, namespace) as (desk, kueue):
        job = kueue.job()
        kueue.admit(job)
        pod = train_pod(desk)
        kueue.preempt(job)
        pod.gone()
        desk.until_phase("Queued", "NotAdmitted")
        kueue.admit(job)
        status = finish(desk, train_pod(desk))
        assert attempts(desk) == ["1"]
        assert status["run"]["failures"] == 0


def test_an_evicted_pod_of_a_queue_is_followed_by_an_attempt_that_waits_again(
    plane: ControlPlane, namespace: str
) -> None:
    with in_queue(plane, namespace) as (desk, kueue):
        kueue.admit(kueue.job())
        train_pod(desk).running().evicted()
        again = kueue.job(2)
        status = desk.until_phase("Queued", "NotAdmitted")
        assert status["run"]["failures"] == 1  # its checkpoint had not moved
        kueue.admit(again)
        finish(desk, train_pod(desk, 2))


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
        assert status["run"]["failures"] == 0


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
        assert status["run"]["failures"] == 0


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
    with in_queue(plane, namespace, pending_grace_s=2) as (desk, kueue):
        kueue.refuse(kueue.job())
        until_message(desk, NO_QUOTA)
        desk.stop()
        before = plane.api.get(desk.path(""))
        desk.start()
        wait_until(lambda: '"leading"' in desk.log(), "it leads")
        paths = (desk.path(""), desk.jobs_path)
        assert [desk.writes(path, before, seconds=3) for path in paths] == [[], []]
        assert 'phase="Queued"} 1.0' in desk.read("/metrics")  # it has looked at it


def test_a_stage_that_waits_costs_one_status_write_and_one_create(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace, gpus=1, pending_grace_s=60) as desk:
        created = desk.apply(compute=QUEUED)
        desk.kubelet.pod("prepare").running().succeeded()
        Kueue(plane.api, namespace).job()
        desk.until_phase("Queued", "NotAdmitted")
        lines = desk.writes(desk.path(""), created, seconds=2)
        assert [line["type"] for line in lines] == ["MODIFIED"] * 2  # prepare's and train's


def test_a_job_that_waits_for_kueue_holds_no_place_of_another(
    plane: ControlPlane, namespace: str
) -> None:
    alone = {"max_concurrent_runs": 1, "watch_namespaces": namespace}  # no other test's jobs
    with in_queue(plane, namespace, **alone) as (desk, kueue):
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


def test_a_job_without_a_queue_that_is_suspended_by_hand_costs_no_failure(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        desk.apply()
        pod = desk.kubelet.pod("prepare").running()
        (job,) = desk.jobs()
        path = f"{desk.jobs_path}/{job['metadata']['name']}"
        desk.kubelet.holds_deleted = True
        plane.api.patch(path, {"spec": {"suspend": True}})
        desk.until_phase("Queued", "NotAdmitted")
        pod.ended(interrupted(pod))
        status = desk.until(lambda s: s["run"]["attempt"] == 2, "its rules have failed the Job")
        desk.kubelet.let_go()
        assert status["run"]["failures"] == 0
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
