"""The life of a FineTuneJob: a real API server, the real operator, pods that are played."""

from builders.operated import operated
from cluster.plane import ControlPlane
from cluster.process import wait_until

from trainer.contract.failures import FailureClass


def test_a_job_goes_through_prepare_train_and_judge_to_its_verdict(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        created = desk.apply()
        status = desk.succeed()
        assert status["run"]["verdict"] == "Promote"
        assert status["run"]["id"] == "0123456789abcdef"
        assert status["observedGeneration"] == 1
        assert [job["metadata"]["labels"]["tunekeeper.dev/stage"] for job in desk.jobs()] == [
            "judge",
            "prepare",
            "train",
        ]
        kinds = [line["type"] for line in desk.writes(desk.path(""), created)]
        assert kinds == ["MODIFIED"] * 4  # one per stage, one for the end
        assert (
            len([line for line in desk.writes(desk.jobs_path, created) if line["type"] == "ADDED"])
            == 3
        )
        wait_until(lambda: desk.events("Promote"), "the verdict is an event")
        assert len(desk.events("RunStarted")) == 1


def test_jobs_that_come_one_by_one_cost_one_status_write_and_one_create_each(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        first = desk.apply("job-0")
        for number in range(1, 6):
            desk.apply(f"job-{number}")
        for number in range(6):
            desk.kubelet.pod("prepare", job=f"job-{number}")
        lines = desk.writes(desk.path(""), first)
        assert [line["type"] for line in lines].count("MODIFIED") == 6
        assert len(desk.jobs()) == 6


def test_kubectl_waits_for_the_condition_finished(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        desk.apply()
        desk.succeed()
        plane.kubectl(
            "wait", "--for=condition=Finished", "ftj/intents", "-n", namespace, "--timeout=10s"
        )


def test_nothing_is_written_about_objects_at_rest(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        desk.apply("done")
        desk.succeed("done")
        desk.apply("running")
        desk.kubelet.pod("prepare", job="running").running()
        desk.apply("held", suspend=True)
        desk.until_phase("Suspended", name="held")
        desk.until_phase("Running", name="running")
        wait_until(lambda: any(j["status"].get("ready") for j in desk.jobs()), "the Job is ready")
        before = plane.api.get(desk.path(""))
        lines = [desk.writes(path, before) for path in (desk.path(""), desk.jobs_path)]
        lines += [desk.writes(path, before) for path in (desk.path(""), desk.jobs_path)]
        assert lines == [[], [], [], []]  # each watch looks for a second


def test_invalid_data_ends_the_run_without_a_train_pod(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        desk.apply()
        pod = desk.kubelet.pod("prepare").running()
        pod.failed(FailureClass.INVALID_DATA, "train.jsonl:3 has no messages")
        desk.until_phase("Failed", "InvalidData")
        assert desk.condition("DataValid")["status"] == "False"
        assert desk.condition("Stalled")["status"] == "True"
        assert "train.jsonl:3" in desk.condition("Stalled")["message"]
        assert desk.kubelet.pods("train") == []
        assert len(desk.jobs()) == 1


def test_an_evicted_pod_is_followed_by_another_attempt(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        desk.apply()
        desk.kubelet.pod("prepare").running().succeeded()
        desk.kubelet.pod("train").running().evicted()
        status = desk.until(lambda s: s["run"]["attempt"] == 2, "the second attempt is recorded")
        assert status["run"]["stage"] == "train"
        desk.kubelet.pod("train", attempt=2).running().succeeded()
        desk.kubelet.pod("judge").running().succeeded()
        desk.until_phase("Succeeded", "Promote")
        assert desk.events("Evicted")


def test_a_missing_secret_is_waited_for(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        desk.apply()
        pod = desk.kubelet.pod("prepare").running()
        pod.failed(FailureClass.SECRET_NOT_FOUND, "Secret s3-data has no key x; add it")
        desk.until_phase("Pending", "SecretNotFound")
        assert "s3-data" in desk.condition("Finished")["message"]
        assert desk.condition("Stalled") == {}
        desk.kubelet.pod("prepare", attempt=2).running().succeeded()
        desk.until_phase("Running", "Training")


def test_a_suspended_job_ends_its_pod_and_goes_on_when_resumed(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        desk.apply()
        desk.kubelet.pod("prepare").running().succeeded()
        pod = desk.kubelet.pod("train").running()
        desk.edit(suspend=True)
        desk.until_phase("Suspended")
        pod.gone()
        wait_until(lambda: len(desk.jobs()) == 1, "the train Job is gone")
        assert desk.condition("Reconciling") == {}
        desk.edit(suspend=False)
        status = desk.until_phase("Running", "Training")
        assert status["run"]["number"] == 1
        attempt = status["run"]["attempt"]
        desk.kubelet.pod("train", attempt=attempt).running().succeeded()
        desk.kubelet.pod("judge").running().succeeded()
        desk.until_phase("Succeeded", "Promote")


def test_another_spec_supersedes_the_run_and_nothing_runs_twice(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        desk.apply()
        old = desk.kubelet.pod("prepare", run=1).running()
        desk.kubelet.holds_deleted = True
        desk.edit(lora={"rank": 8})
        desk.until(lambda s: s["run"]["number"] == 2, "the new run is recorded")
        desk.until_phase("Pending", "Stopping")
        wait_until(
            lambda: (old.seen() or {}).get("metadata", {}).get("deletionTimestamp"), "told to end"
        )
        assert len(desk.kubelet.pods()) == 1
        desk.kubelet.let_go()
        old.gone()
        status = desk.succeed(run=2)
        assert status["run"]["number"] == 2
        assert status["observedGeneration"] == 2


def test_a_rerun_is_a_new_run_of_the_same_spec(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        desk.apply()
        desk.succeed()
        desk.annotate(rerun="once more")
        status = desk.succeed(run=2)
        assert status["lastHandledRerun"] == "once more"
        assert [entry["run"] for entry in status["history"]] == [1, 2]


def test_what_was_trained_before_succeeds_without_a_train_pod(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        desk.apply()
        desk.kubelet.pod("prepare").running().succeeded(trained=True, generated=True)
        desk.kubelet.pod("judge").running().succeeded()
        desk.until_phase("Succeeded", "Promote")
        assert desk.condition("Trained")["reason"] == "AlreadyTrained"
        assert desk.kubelet.pods("train") == []


def test_a_deleted_job_leaves_nothing_that_it_owned(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        desk.apply()
        desk.kubelet.pod("prepare").running().succeeded()
        desk.kubelet.pod("train").running()
        plane.api.delete(desk.path())
        wait_until(lambda: desk.jobs() == [], "its Jobs are gone")
        wait_until(lambda: desk.kubelet.pods() == [], "its pods are gone")
        series = f'finetunejob="intents",namespace="{namespace}"'
        wait_until(lambda: series not in desk.read("/metrics"), "its series are gone")


def test_a_job_that_is_made_again_under_its_name_is_another_one(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        first = desk.apply()
        desk.succeed()
        plane.api.delete(desk.path())
        second = desk.apply()
        status = desk.succeed(uid=second["metadata"]["uid"])
        assert status["run"]["number"] == 1
        uids = {job["metadata"]["labels"]["tunekeeper.dev/uid"] for job in desk.jobs()}
        assert second["metadata"]["uid"] in uids
        assert first["metadata"]["uid"] != second["metadata"]["uid"]
