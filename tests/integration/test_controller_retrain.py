"""A base model moves, on a real API server: what becomes of the jobs that name it."""

import hashlib
from typing import Any

from builders.operated import Desk, operated
from cluster.api import Json
from cluster.plane import ControlPlane
from cluster.pod import Pod
from cluster.process import wait_until

from trainer.contract.outcome import Details, Promoted

AUTO = {"policy": "Auto", "minPeriodSeconds": 0}
NAMED = {"name": "smol"}


class Source:
    """The BaseModel that the jobs name, as its own controller would keep it."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        kinds = f"/apis/tunekeeper.dev/v1alpha1/namespaces/{desk.namespace}/basemodels"
        self.path = f"{kinds}/smol"
        spec = {"source": {"huggingFace": {"repo": "owner/smol"}}, "suspend": True}
        body = {"apiVersion": "tunekeeper.dev/v1alpha1", "kind": "BaseModel"}
        desk.plane.api.post(kinds, {**body, "metadata": {"name": "smol"}, "spec": spec})

    def moves_to(self, revision: str) -> None:
        """Its newest revision is another one now."""
        digest, now = digest_of(revision), "2026-03-01T12:00:00Z"
        latest = {"revision": revision, "contentDigest": digest, "observedTime": now}
        status = {"observedGeneration": 1, "latest": latest}
        self.desk.plane.api.patch(f"{self.path}/status", {"status": status})


def digest_of(revision: str) -> str:
    return f"sha256:{hashlib.sha256(revision.encode()).hexdigest()}"


def finish(desk: Desk, revision: str, *, run: int = 1, name: str = "intents") -> Json:
    """The run goes through its stages, on that revision."""
    found = {"base_revision": revision, "base_digest": digest_of(revision)}
    run_id = f"{run:016x}"
    desk.kubelet.pod("prepare", job=name, run=run).running().succeeded(run_id=run_id, **found)
    desk.kubelet.pod("train", job=name, run=run).running().succeeded(run_id=run_id)
    desk.kubelet.pod("judge", job=name, run=run).running().succeeded(run_id=run_id)
    return desk.until(
        lambda s: s["run"]["number"] == run and s["phase"] == "Succeeded", "it is judged", name
    )


def behind(desk: Desk, reason: str, name: str = "intents") -> Json:
    """The condition, once it says that."""
    wait_until(
        lambda: desk.condition("BaseModelCurrent", name).get("reason") == reason, f"it is {reason}"
    )
    return desk.condition("BaseModelCurrent", name)


def a_job_on(desk: Desk, source: Source, name: str = "intents", **retrain: Any) -> None:
    """Judged on rev-1."""
    source.moves_to("rev-1")
    desk.apply(name, baseModel=NAMED, retrain={**AUTO, **retrain})
    finish(desk, "rev-1", name=name)


def test_a_job_waits_for_the_first_revision_of_its_base_model(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        source = Source(desk)
        desk.apply(baseModel=NAMED)
        desk.until_phase("Pending", "BaseModelNotReady")
        assert desk.jobs() == []
        source.moves_to("rev-1")
        status = finish(desk, "rev-1")
        assert status["run"]["baseModel"]["revision"] == "rev-1"


def test_auto_trains_again_when_the_base_model_moves(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        source = Source(desk)
        a_job_on(desk, source)
        spec = desk.seen()["spec"]
        source.moves_to("rev-2")
        status = finish(desk, "rev-2", run=2)
        assert status["run"]["trigger"] == "BaseModel"
        assert status["run"]["baseModel"]["revision"] == "rev-2"
        assert "lastRetrainTime" in status
        assert desk.seen()["spec"] == spec
        assert desk.seen()["metadata"]["generation"] == 1
        wait_until(lambda: desk.events("NewRevisionAvailable"), "the move is an event")
        page = desk.read("/metrics")
        series = f'tunekeeper_runs_started_total{{namespace="{namespace}",trigger="BaseModel"}}'
        assert f"{series} 1.0" in page
        assert "tunekeeper_job_last_retrain_timestamp_seconds{" in page


def test_on_commit_shows_that_it_is_behind_and_does_nothing(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        source = Source(desk)
        a_job_on(desk, source, policy="OnCommit")
        source.moves_to("rev-2")
        said = behind(desk, "NewRevisionAvailable")
        assert "rev-1" in said["message"]
        assert "set spec.baseModel.revision to rev-2" in said["message"]
        wait_until(lambda: len(desk.events("NewRevisionAvailable")) == 1, "it is an event, once")
        metric = f'base_model_behind{{finetunejob="intents",namespace="{namespace}"}} 1.0'
        wait_until(lambda: metric in desk.read("/metrics"), "it is a metric")
        assert (desk.status()["phase"], len(desk.jobs())) == ("Succeeded", 3)
        wide = plane.kubectl(
            "get", "finetunejobs.tunekeeper.dev", "intents", "-n", namespace, "-o", "wide"
        )
        assert "BASECURRENT" in wide.stdout
        desk.edit(baseModel={"revision": "rev-2"})  # the commit
        status = finish(desk, "rev-2", run=2)
        assert status["run"]["trigger"] == "Spec"
        behind(desk, "BaseModelCurrent")


def test_a_base_model_that_is_pushed_back_makes_no_third_run(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        source = Source(desk)
        a_job_on(desk, source)
        source.moves_to("rev-2")
        finish(desk, "rev-2", run=2)
        source.moves_to("rev-1")
        assert "by run 1 (Promote)" in behind(desk, "AlreadyJudged")["message"]
        source.moves_to("rev-2")
        behind(desk, "BaseModelCurrent")
        assert desk.status()["run"]["number"] == 2


def test_replace_ends_the_run_under_way(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        source = Source(desk)
        source.moves_to("rev-1")
        desk.apply(baseModel=NAMED, retrain={**AUTO, "concurrencyPolicy": "Replace"})
        old = desk.kubelet.pod("prepare").running()
        source.moves_to("rev-2")
        desk.until(lambda s: s["run"]["number"] == 2, "another run is recorded")
        old.gone()
        assert finish(desk, "rev-2", run=2)["run"]["trigger"] == "BaseModel"


def test_forbid_waits_for_the_run_under_way(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        source = Source(desk)
        source.moves_to("rev-1")
        desk.apply(baseModel=NAMED, retrain=AUTO)
        desk.kubelet.pod("prepare").running()
        source.moves_to("rev-2")
        assert "run 1 has ended" in behind(desk, "RetrainWaits")["message"]
        desk.kubelet.pod("prepare").succeeded(base_revision="rev-1", base_digest=digest_of("rev-1"))
        desk.kubelet.pod("train").running().succeeded()
        desk.kubelet.pod("judge").running().succeeded()
        assert finish(desk, "rev-2", run=2)["run"]["baseModel"]["revision"] == "rev-2"


def test_a_fan_out_starts_as_many_as_the_fleet_may_and_the_oldest_first(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace, max_concurrent_retrains=1) as desk:
        source = Source(desk)
        for name in ("a", "b"):
            a_job_on(desk, source, name)
        source.moves_to("rev-2")
        desk.until(lambda s: s["run"]["number"] == 2, "the oldest begins", "a")
        assert "position 1 in the queue" in behind(desk, "RetrainWaits", "b")["message"]
        assert desk.status("b")["phase"] == "Succeeded"
        finish(desk, "rev-2", run=2, name="a")
        finish(desk, "rev-2", run=2, name="b")


# Pins


def in_use(run: int, sequence: int, **fields: Any) -> Details:
    """What a judge says of the pointer."""
    return Details(
        promoted=Promoted(
            sequence=sequence,
            run_id=f"{run:016x}",
            adapter_uri=f"s3://acme-models/intents/runs/{run:016x}/e1/adapter",
            adapter_digest=digest_of("adapter"),
            base_revision="rev-1",
            time="2026-03-01T12:00:00Z",
            **fields,
        )
    )


def judge_again(desk: Desk, attempt: int, details: Details, **fields: Any) -> Pod:
    """The judge's attempt says this of the pointer."""
    pointer = details.promoted
    assert pointer is not None
    line = {"run_id": f"{1:016x}", "sequence": pointer.sequence, "promoted_run_id": pointer.run_id}
    pod = desk.kubelet.pod("judge", attempt=attempt).running()
    return pod.succeeded(details, **(line | fields))


def a_judged_job(desk: Desk) -> None:
    """Its run is in use."""
    desk.apply()
    desk.kubelet.pod("prepare").running().succeeded(run_id=f"{1:016x}")
    desk.kubelet.pod("train").running().succeeded(run_id=f"{1:016x}")
    judge_again(desk, 1, in_use(1, 2))
    desk.until_phase("Succeeded", "Promoted")


def test_a_pin_rolls_back_by_a_judge_stage_and_removing_it_returns_to_the_policy(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        a_judged_job(desk)
        desk.edit(promotion={"pin": f"{9:016x}"})
        asked = judge_again(desk, 2, in_use(9, 3, by="Pin", back=True))
        assert asked.request.spec.promotion.pin == f"{9:016x}"
        status = desk.until_phase("Succeeded", "RolledBack")
        assert status["promoted"]["runId"] == f"{9:016x}"
        assert status["run"]["number"] == 1
        assert desk.condition("Promoted")["status"] == "True"
        desk.edit(promotion={"pin": None})
        judge_again(desk, 3, in_use(1, 4, by="Unpin", back=True))
        status = desk.until_phase("Succeeded", "Promoted")
        assert status["promoted"]["sequence"] == 4
        assert desk.kubelet.pods("train") != []
        assert len(desk.kubelet.pods("train")) == 1
        wait_until(lambda: desk.events("RolledBack") and desk.events("Promoted"), "both are events")


def test_a_pin_that_is_refused_is_failed_for_kstatus_until_it_is_mended(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        a_judged_job(desk)
        desk.edit(promotion={"pin": f"{7:016x}"})
        why = "spec.promotion.pin: there is no run; pin one of these"
        judge_again(desk, 2, in_use(1, 2), refused="NotFound", message=why)
        wait_until(lambda: desk.condition("Stalled").get("status") == "True", "it is stalled")
        assert (desk.status()["phase"], desk.condition("Succeeded")["status"]) == (
            "Succeeded",
            "True",
        )
        assert desk.condition("Promoted")["reason"] == "NotFound"
        assert why in desk.condition("Promoted")["message"]
        desk.edit(promotion={"pin": f"{1:016x}"})
        judge_again(desk, 3, in_use(1, 2))
        desk.until_phase("Succeeded", "Pinned")
        assert desk.condition("Stalled") == {}


def test_manual_waits_for_a_pin_that_names_the_run(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        desk.apply(promotion={"policy": "Manual"})
        desk.succeed()
        said = desk.condition("Promoted")
        assert (said["status"], said["reason"]) == ("False", "AwaitingApproval")
        run_id = desk.status()["run"]["id"]
        assert f"spec.promotion.pin: {run_id}" in said["message"]
