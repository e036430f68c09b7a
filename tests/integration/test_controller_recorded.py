"""kstatus's own library over lives as they were: every version that a watch has seen.

Argo CD's check and Flux's expressions read the same versions.
"""

from itertools import groupby
from pathlib import Path

from builders.gitops import KSTATUS, ArgoCheck, flux_checks
from builders.lives import CHECKS, in_use
from builders.operated import Desk, operated
from cluster.api import Json
from cluster.kstatus import kstatus
from cluster.plane import ControlPlane
from cluster.process import wait_until

from trainer.contract.failures import FailureClass
from trainer.contract.outcome import Details

IN_PROGRESS, FAILED, CURRENT = "InProgress", "Failed", "Current"

LIVES = {
    "good": [IN_PROGRESS, CURRENT],
    "bad": [IN_PROGRESS, FAILED],
    "held": [IN_PROGRESS, CURRENT, IN_PROGRESS, CURRENT],  # suspended is at rest, and as asked for
    "gone": [IN_PROGRESS],
}
PHASES = {
    "good": ["", "Running", "Succeeded"],
    "bad": ["", "Running", "Failed"],
    "held": ["", "Running", "Suspended", "Running", "Succeeded"],
    "gone": ["", "Pending", "Running"],
}
IN_USE = {
    "good": [IN_PROGRESS, CURRENT],
    "bad": [IN_PROGRESS, FAILED],
    "held": [IN_PROGRESS, CURRENT],
    "gone": [IN_PROGRESS],
}
"""By the expressions for "the adapter is in use": at rest is not done."""
PAGE = Path(__file__).parents[2] / "docs" / "gitops.md"


def live(desk: Desk) -> None:
    """Four lives at once."""
    desk.apply("gone", baseModel={"name": "late"})
    desk.until_phase("Pending", "BaseModelNotFound", "gone")
    for name in ("good", "bad", "held"):
        desk.apply(name)
    desk.kubelet.pod("prepare", job="held").running().succeeded()
    pod = desk.kubelet.pod("train", job="held").running()
    desk.edit("held", suspend=True)
    bad = desk.kubelet.pod("prepare", job="bad").running()
    bad.failed(FailureClass.INVALID_DATA, "train.jsonl:3 has no messages")
    desk.until_phase("Failed", "InvalidData", "bad")
    for stage in ("prepare", "train"):
        desk.kubelet.pod(stage, job="good").running().succeeded()
    promote(desk, "good")
    desk.until_phase("Suspended", name="held")
    pod.gone()
    wait_until(lambda: "held" not in running(desk), "its Job is gone")
    resume(desk)
    begin_and_delete(desk)


def running(desk: Desk) -> set[str]:
    trains = [j for j in desk.jobs() if j["metadata"]["labels"]["tunekeeper.dev/stage"] == "train"]
    return {job["metadata"]["labels"]["tunekeeper.dev/job"] for job in trains}


def resume(desk: Desk) -> None:
    desk.edit("held", suspend=False)
    status = desk.until_phase("Running", "Training", "held")
    attempt = status["run"]["attempt"]
    desk.kubelet.pod("train", job="held", attempt=attempt).running().succeeded()
    promote(desk, "held")


def promote(desk: Desk, name: str) -> None:
    """Its judge puts the run in use."""
    told = Details(promoted=in_use())
    desk.kubelet.pod("judge", job=name).running().succeeded(told)
    desk.until_phase("Succeeded", "Promote", name)


def begin_and_delete(desk: Desk) -> None:
    body = {
        "apiVersion": "tunekeeper.dev/v1alpha1",
        "kind": "BaseModel",
        "metadata": {"name": "late"},
        "spec": {"source": {"directory": {"path": "/cache/base"}}, "suspend": True},
    }
    latest = {
        "revision": "r1",
        "contentDigest": f"sha256:{'a' * 64}",
        "observedTime": "2026-03-01T12:00:00Z",
    }
    path = f"/apis/tunekeeper.dev/v1alpha1/namespaces/{desk.namespace}/basemodels"
    desk.plane.api.post(path, body)
    desk.until_phase("Pending", "BaseModelNotReady", "gone")
    status = {"observedGeneration": 1, "latest": latest}
    desk.plane.api.patch(f"{path}/late/status", {"status": status})
    desk.kubelet.pod("prepare", job="gone").running()
    desk.until_phase("Running", "Preparing", "gone")
    desk.plane.api.delete(desk.path("gone"))
    wait_until(lambda: desk.plane.api.find(desk.path("gone")) is None, "it is gone")


def versions(name: str, lines: list[Json]) -> list[Json]:
    mine = [line for line in lines if line["object"]["metadata"]["name"] == name]
    return [line["object"] for line in mine if line["type"] != "DELETED"]


def test_kstatus_and_kubectl_read_every_version_of_a_recorded_life(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        before = plane.api.get(desk.path(""))
        live(desk)
        lines = desk.writes(desk.path(""), before)
        seen = {name: versions(name, lines) for name in LIVES}
        read = {name: [each.status for each in kstatus(found)] for name, found in seen.items()}
        assert {name: without_repeats(found) for name, found in read.items()} == LIVES
        argo_cd_agrees(seen, read)
        flux_waits_for_the_adapter(seen)
        phases = {n: [v["status"].get("phase", "") for v in found] for n, found in seen.items()}
        assert {name: without_repeats(found) for name, found in phases.items()} == PHASES
        for name, kind in [
            ("good", "Succeeded"),
            *((n, "Finished") for n in PHASES if n != "gone"),
        ]:
            wait = ("wait", f"--for=condition={kind}", f"ftj/{name}", "-n", namespace)
            plane.kubectl(*wait, "--timeout=10s")


def argo_cd_agrees(seen: dict[str, list[Json]], read: dict[str, list[str]]) -> None:
    check = ArgoCheck(CHECKS / "FineTuneJob" / "health.lua")
    for name, found in seen.items():
        assert [KSTATUS[check.health(one)["status"]] for one in found] == read[name]


def flux_waits_for_the_adapter(seen: dict[str, list[Json]]) -> None:
    _, check = flux_checks(PAGE.read_text(encoding="utf-8"))
    found = {name: [check.status(one) for one in each] for name, each in seen.items()}
    assert {name: without_repeats(each) for name, each in found.items()} == IN_USE


def without_repeats(found: list[str]) -> list[str]:
    return [each for each, _ in groupby(found)]
