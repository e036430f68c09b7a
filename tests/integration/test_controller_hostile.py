"""People who wipe a status or edit a child: silent repair, one trainer at most, no busy loop."""

from builders.operated import Desk, operated
from cluster.plane import ControlPlane

QUIET_S = 3


def started(desk: Desk) -> None:
    desk.apply()
    desk.kubelet.pod("prepare").running().succeeded()
    desk.kubelet.pod("train").running()
    desk.until_phase("Running", "Training")


def test_a_status_that_is_wiped_is_made_anew_and_nothing_runs_twice(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        started(desk)
        old = desk.kubelet.pod("train")
        wiped = {key: None for key in desk.status() if key != "observedGeneration"}
        plane.api.patch(desk.path(subresource="status"), {"status": wiped})
        new = desk.kubelet.pod("prepare", run=2).running()
        old.gone()
        new.succeeded(trained=True, generated=True)
        desk.kubelet.pod("judge", run=2).running().succeeded()
        desk.until_phase("Succeeded", "Promote")


def test_a_job_whose_labels_are_removed_is_not_doubled_and_its_result_counts(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        started(desk)
        name = next(j["metadata"]["name"] for j in desk.jobs() if "train" in j["metadata"]["name"])
        before = plane.api.get(desk.jobs_path)
        stripped = {"app.kubernetes.io/managed-by": None, "tunekeeper.dev/uid": None}
        plane.api.patch(f"{desk.jobs_path}/{name}", {"metadata": {"labels": stripped}})
        desk.until_phase("Pending", "Stopping")
        lines = desk.writes(desk.jobs_path, before, seconds=QUIET_S)
        assert [line for line in lines if line["type"] == "ADDED"] == []
        desk.kubelet.pod("train").succeeded()
        desk.kubelet.pod("judge").running().succeeded()
        desk.until_phase("Succeeded", "Promote")
        assert desk.status()["run"]["attempts"]["train"] == 1
