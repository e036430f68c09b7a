"""Finished Jobs go when their time has come, and the object stays as it was."""

from dataclasses import dataclass
from typing import Any

from builders.operated import Desk, operated
from cluster.api import Json
from cluster.plane import ControlPlane
from cluster.pod import Last
from cluster.process import wait_until

TTL_S = 600
LONG_AGO = "2026-01-01T00:00:00Z"


@dataclass(frozen=True)
class OfOld(Last):
    """An end long ago."""

    def state(self, started: str) -> Json:
        """As it stands in the pod's status."""
        ended = super().state(started)["terminated"]
        return {"terminated": ended | {"startedAt": LONG_AGO, "finishedAt": LONG_AGO}}


def went_through(desk: Desk, *, run: int = 1) -> None:
    """Every stage did its work, long ago by the clock of its node."""
    for stage in ("prepare", "train", "judge"):
        pod = desk.kubelet.pod(stage, run=run).running()
        pod.ended(OfOld(0, pod.word()))
    desk.until(lambda s: s.get("run", {}).get("endTime"), f"run {run} has ended")


def let_time_pass(desk: Desk, **run: Any) -> Json:
    """The run ended long ago, says its status now."""
    return desk.plane.api.patch(
        desk.path(subresource="status"), {"status": {"run": {"endTime": LONG_AGO, **run}}}
    )


def test_the_jobs_of_a_run_go_with_their_pods_and_nothing_else_moves(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        desk.apply(ttlSecondsAfterFinished=TTL_S)
        went_through(desk)
        assert len(desk.jobs()) == 3
        before = let_time_pass(desk)
        wait_until(lambda: not desk.jobs(), "the Jobs are gone")
        wait_until(lambda: not desk.kubelet.pods(), "their pods are gone")
        assert desk.writes(desk.path(""), before, seconds=2) == []
        assert desk.status()["phase"] == "Succeeded"
        assert len(desk.status()["history"]) == 1


def test_the_jobs_of_a_run_under_way_stay_and_those_of_an_older_one_go(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        desk.apply(ttlSecondsAfterFinished=TTL_S)
        desk.kubelet.pod("prepare").running().ended(OfOld(0, desk.kubelet.pod("prepare").word()))
        pod = desk.kubelet.pod("train").running()
        desk.edit(lora={"rank": 8})
        pod.gone()
        wait_until(lambda: runs(desk) == ["2"], "only the new run has Jobs")
        second = desk.kubelet.pod("prepare", run=2).running()
        second.ended(OfOld(0, second.word()))
        desk.kubelet.pod("train", run=2).running()
        assert [job["metadata"]["labels"]["tunekeeper.dev/stage"] for job in desk.jobs()] == [
            "prepare",
            "train",
        ]


def runs(desk: Desk) -> list[str]:
    """Of the Jobs that are there."""
    return sorted({job["metadata"]["labels"]["tunekeeper.dev/run"] for job in desk.jobs()})


def test_a_lowered_history_limit_counts_at_rest(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        desk.apply()
        desk.succeed()
        desk.annotate(rerun="again")
        desk.until(lambda s: s["run"]["number"] == 2, "there is a second run")
        desk.succeed(run=2)
        desk.edit(historyLimit=1)
        status = desk.until(lambda s: len(s["history"]) == 1, "the history is cut")
        assert status["history"][0]["run"] == 2
        desk.edit(historyLimit=0)
        desk.until(lambda s: not s.get("history"), "there is no history")
        assert desk.status()["phase"] == "Succeeded"
