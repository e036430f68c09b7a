"""What keeps a job from running shows in its status while it lasts, and heals by itself."""

import pytest
from builders.operated import Desk, operated
from builders.watched import BaseDesk
from cluster.api import Json
from cluster.plane import ControlPlane
from cluster.pods import GPU
from cluster.process import wait_until

from controller.core.naming import child_name
from trainer.contract.request import Stage


def quota(desk: Desk, **hard: str) -> str:
    """Put a quota on the namespace and wait until it is enforced."""
    path = f"/api/v1/namespaces/{desk.namespace}/resourcequotas"
    desk.plane.api.post(path, {"metadata": {"name": "q"}, "spec": {"hard": hard}})
    wait_until(lambda: desk.plane.api.get(f"{path}/q").get("status", {}).get("hard"), "enforced")
    return f"{path}/q"


def first_child_name(job: Json) -> str:
    meta = job["metadata"]
    return child_name(meta["name"], meta["uid"], run=1, stage=Stage.PREPARE, attempt=1)


def test_a_quota_on_jobs_is_shown_and_heals(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        path = quota(desk, **{"count/jobs.batch": "0"})
        desk.apply()
        desk.until_phase("Pending", "QuotaExceeded")
        assert "exceeded quota: q" in desk.condition("Finished")["message"]
        assert desk.jobs() == []
        plane.api.delete(path)
        desk.kubelet.pod("prepare").running()
        desk.until_phase("Running", "Preparing")


def test_a_quota_on_pods_is_shown_and_heals(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        path = quota(desk, pods="0")
        desk.apply()
        desk.until_phase("Pending", "QuotaExceeded")
        assert "exceeded quota: q" in desk.condition("Finished")["message"]
        plane.api.delete(path)
        desk.kubelet.pod("prepare", timeout_s=60).running()
        desk.until_phase("Running", "Preparing")


def test_an_image_that_is_not_there_is_shown_and_heals(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        desk.apply()
        pod = desk.kubelet.pod("prepare").cannot_pull()
        desk.until_phase("Pending", "ImagePull")
        assert "not found" in desk.condition("Finished")["message"]
        assert desk.condition("Stalled") == {}
        pod.running()
        desk.until_phase("Running", "Preparing")


def test_a_foreign_job_with_a_childs_name_is_shown_and_never_touched(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        desk.stop()
        job = desk.apply()
        name = first_child_name(job)
        container = {"name": "x", "image": "x"}
        template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
        body = {"metadata": {"name": name}, "spec": {"suspend": True, "template": template}}
        foreign = plane.api.post(desk.jobs_path, body)
        desk.start()
        desk.until_phase("Pending", "NameConflict")
        assert name in desk.condition("Finished")["message"]
        (still,) = desk.jobs()
        assert still["metadata"]["uid"] == foreign["metadata"]["uid"]
        assert still["metadata"]["generation"] == 1
        plane.api.delete(f"{desk.jobs_path}/{name}?propagationPolicy=Background")
        desk.kubelet.pod("prepare").running()
        desk.until_phase("Running", "Preparing")


def test_a_base_model_that_is_not_there_is_waited_for(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        desk.apply(baseModel={"name": "small"})
        desk.until_phase("Pending", "BaseModelNotFound")
        assert desk.jobs() == []
        base = BaseDesk(desk, "small")
        base.apply()
        pod = base.look(1)
        desk.until_phase("Pending", "BaseModelNotReady")
        pod.found("a")
        asked = desk.kubelet.pod("prepare").running().request.spec.base_model
        assert (asked.hugging_face.repo, asked.revision) == ("acme/tiny", "rev-a")
        desk.until_phase("Running", "Preparing")


def test_a_policy_that_denies_the_job_is_shown_in_its_own_words(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        undo = deny_jobs(plane, namespace)
        try:
            desk.apply()
            desk.until_phase("Pending", "AdmissionDenied")
            assert "no fine-tuning on fridays" in desk.condition("Finished")["message"]
        finally:
            undo()
        desk.kubelet.pod("prepare").running()
        desk.until_phase("Running", "Preparing")


def deny_jobs(plane: ControlPlane, namespace: str):
    """A ValidatingAdmissionPolicy for one namespace; returns what removes it."""
    root = "/apis/admissionregistration.k8s.io/v1"
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"]}
    matched = {"resourceRules": [rule | {"resources": ["jobs"]}]}
    where = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    policy = {
        "metadata": {"name": namespace},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": matched,
            "validations": [{"expression": "false", "message": "no fine-tuning on fridays"}],
        },
    }
    binding = {
        "metadata": {"name": namespace},
        "spec": {
            "policyName": namespace,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": where},
        },
    }
    kinds = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
    for kind, body in zip(kinds, (policy, binding), strict=True):
        plane.api.post(f"{root}/{kind}", body)

    def is_denied() -> bool:
        probe = {"metadata": {"generateName": "probe-"}, "spec": {"template": {"spec": {}}}}
        _, said = plane.api.raw(
            "POST",
            f"/apis/batch/v1/namespaces/{namespace}/jobs?dryRun=All",
            probe | {"spec": probe_spec()},
            "application/json",
        )
        return b"fridays" in said

    wait_until(is_denied, "the policy is enforced")

    def undo() -> None:
        for kind in kinds:
            plane.api.delete(f"{root}/{kind}/{namespace}")

    return undo


def probe_spec() -> Json:
    """The least that is a Job."""
    container = {"name": "x", "image": "x"}
    return {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}


@pytest.mark.parametrize(("gpus", "amount"), [(0, None), (1, "1")], ids=["cpu", "one GPU"])
def test_only_the_train_pod_asks_for_gpus(
    plane: ControlPlane, namespace: str, gpus: int, amount: str | None
) -> None:
    with operated(plane, namespace, gpus=1) as desk:
        desk.apply(compute={"gpus": gpus})
        prepare = desk.kubelet.pod("prepare")
        assert GPU not in prepare.container["resources"].get("limits", {})
        prepare.running().succeeded()
        train = desk.kubelet.pod("train")
        assert train.container["resources"].get("limits", {}).get(GPU) == amount
        train.running().succeeded()
        judge = desk.kubelet.pod("judge")
        assert GPU not in judge.container["resources"].get("limits", {})


def test_a_node_without_free_gpus_is_shown_and_heals(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        desk.apply(compute={"gpus": 1})
        desk.kubelet.pod("prepare").running().succeeded()
        pod = desk.kubelet.pod("train").unschedulable()
        desk.until_phase("Pending", "Unschedulable")
        assert "Insufficient nvidia.com/gpu" in desk.condition("Finished")["message"]
        pod.running()
        desk.until_phase("Running", "Training")
