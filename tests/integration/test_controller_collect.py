"""A last word that never arrived is read back from the store before anything is run again."""

from dataclasses import dataclass
from typing import Any

from builders.operated import Desk, operated
from cluster.api import Json
from cluster.plane import ControlPlane
from cluster.pod import LABEL, Last, Pod
from cluster.pods import ignoring_absence
from cluster.process import wait_until
from cluster.running import RunningKubelet
from cluster.s3server import s3_server
from e2e.objects import OUTPUT, filled

from trainer.contract.outcome import Details
from trainer.contract.request import Stage

TRAINED = {"stage": Stage.TRAIN, "attempt": 1, "adapter_digest": f"sha256:{'a' * 64}"}


def begun(desk: Desk, **spec: Any) -> Pod:
    """A job whose train pod runs."""
    desk.apply(**spec)
    desk.kubelet.pod("prepare").running().succeeded()
    return desk.kubelet.pod("train").running()


def children(desk: Desk) -> list[str]:
    """Stage and attempt of every Job."""
    labels = [job["metadata"]["labels"] for job in desk.jobs()]
    return sorted(f"{one[f'{LABEL}/stage']}-{one[f'{LABEL}/attempt']}" for one in labels)


def is_recorded(status: Json) -> bool:
    return status["run"]["stage"] == "collect"


def test_a_job_that_is_complete_without_a_message_goes_on_with_what_the_store_has(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        begun(desk, retry={"maxAttempts": 1}).ended(Last(0))
        pod = desk.kubelet.pod("collect").running()
        assert desk.status()["run"]["lost"]["stage"] == "train"
        assert pod.request.lost is not None
        assert pod.container["command"][-1] == "collect"
        pod.ended(Last(0, pod.word(**TRAINED)))
        desk.kubelet.pod("judge").running().succeeded()
        desk.until_phase("Succeeded", "Promote")
        assert children(desk) == ["collect-1", "judge-1", "prepare-1", "train-1"]
        assert "Collecting" in [event["reason"] for event in desk.events()]


def test_a_pod_that_went_with_its_node_while_nobody_looked_is_asked_for_in_the_store(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        pod = begun(desk, retry={"maxAttempts": 1})
        desk.kill()
        desk.kubelet.holds_deleted = True
        pod.deleted()
        pod.succeeded()
        desk.plane.api.delete(pod.path, {"gracePeriodSeconds": 0})
        pod.gone()
        desk.kubelet.let_go()
        desk.start()
        look = desk.kubelet.pod("collect").running()
        look.ended(Last(0, look.word(**TRAINED)))
        desk.kubelet.pod("judge").running().succeeded()
        desk.until_phase("Succeeded", "Promote")


def test_where_the_store_has_nothing_the_stage_is_run_again(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        begun(desk).ended(Last(0))
        desk.kubelet.pod("collect").running().succeeded()
        desk.kubelet.pod("train", attempt=2).running().succeeded()
        desk.kubelet.pod("judge").running().succeeded()
        desk.until_phase("Succeeded", "Promote")


def test_an_operator_that_dies_at_a_look_goes_on_with_that_look(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        begun(desk).ended(Last(0))
        desk.until(is_recorded, "the look is recorded")
        desk.kill()
        desk.start()
        pod = desk.kubelet.pod("collect").running()
        desk.kill()
        pod.ended(Last(0, pod.word(**TRAINED)))
        desk.start()
        desk.kubelet.pod("judge").running().succeeded()
        desk.until_phase("Succeeded", "Promote")
        assert children(desk) == ["collect-1", "judge-1", "prepare-1", "train-1"]


@dataclass
class LookingKubelet(RunningKubelet):
    """A node that really runs the pods of looks; the others the test plays."""

    def _tend(self) -> None:
        for seen in self.api.get(f"{self._pods}?labelSelector={LABEL}/stage%3Dcollect")["items"]:
            if seen["metadata"]["uid"] not in self._known:
                ignoring_absence(lambda seen=seen: self._start(seen))
        self._tell_ends()
        super(RunningKubelet, self)._tend()


def test_a_real_look_reads_what_a_stage_left_in_a_bucket(
    plane: ControlPlane, namespace: str, tmp_path
) -> None:
    node = LookingKubelet(plane.api, namespace, folder=tmp_path / "pods")
    with s3_server(tmp_path / "s3") as s3, operated(plane, namespace, node=node) as desk:
        objects = filled(s3, "127.0.0.1")
        secret = {"metadata": {"name": OUTPUT}, "stringData": objects.secrets()[OUTPUT]}
        output = {"uri": f"s3://{OUTPUT}/out", "storage": objects.storage(OUTPUT)}
        pod = begun(desk, output=output)
        details = Details.model_validate({"cost": {"tokensPerSecond": 7}})
        key = f"out/runs/{pod.request.run_id}/train-outcome.json"
        objects.put(OUTPUT, key, pod.word(details).encode())
        pod.ended(Last(0))
        desk.until_phase("Pending", "SecretNotFound")  # the look waits for it as a stage would
        plane.api.post(f"/api/v1/namespaces/{namespace}/secrets", secret)
        wait_until(lambda: desk.status()["run"]["stage"] == "judge", "the word is found", 60)
        assert desk.status()["cost"]["tokensPerSecond"] == "7"
        desk.kubelet.pod("judge").running().succeeded()
        desk.until_phase("Succeeded", "Promote")
        assert objects.secrets()[OUTPUT]["AWS_SECRET_ACCESS_KEY"] not in node.logs()
