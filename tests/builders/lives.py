"""Objects of both kinds in every state that the core can put them in, as an API server has them.

``python -m builders.lives`` writes them as the test data of the Argo CD checks.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from builders.base_models import WRITE_BACK, BaseScene
from builders.base_models import a_base_model as a_watched
from builders.jobs import DIGEST, RUN_ID, Scene, a_job

from controller.api.basemodel import BaseModelObject
from controller.api.finetunejob import FineTuneJob
from controller.api.meta import API_VERSION
from controller.api.reasons import Reason
from controller.api.wire import to_document
from controller.core.children import ChildState
from trainer.contract.failures import FailureClass
from trainer.contract.outcome import Details, Promoted

CHECKS = Path(__file__).parents[2] / "manifests" / "argocd" / "tunekeeper.dev"
PROGRESSING, HEALTHY, SUSPENDED, DEGRADED = "Progressing", "Healthy", "Suspended", "Degraded"
"""Argo CD's words."""


def started(**spec: Any) -> Scene:
    """Prepare runs."""
    return Scene(job=a_job(**spec)).settled()


def judging(**spec: Any) -> Scene:
    """Prepare and train have ended well; judge runs."""
    return started(**spec).succeeded().settled().succeeded().settled()


def judged(verdict: str = "Promote", *, sequence: int = 1, **promotion: Any) -> Scene:
    """A run that is over; with sequence 0 nothing has ever been in use."""
    spec = {"promotion": promotion} if promotion else {}
    told = Details(promoted=in_use() if sequence else None)
    return judging(**spec).succeeded(told, verdict=verdict, sequence=sequence).settled()


def in_use() -> Promoted:
    """The pointer names this very run."""
    return Promoted(
        sequence=1,
        run_id=RUN_ID,
        adapter_uri=f"file:///out/intents/runs/{RUN_ID}/e1/adapter",
        adapter_digest=DIGEST,
        base_revision="abc",
        time="2026-03-01T12:00:00Z",
    )


def pin_refused() -> Scene:
    """A rollback to a run that is not there; the adapter in use stays."""
    why = f"spec.promotion.pin: there is no run {'f' * 16}; pin one of {RUN_ID}"
    scene, told = judging(promotion={"pin": "f" * 16}), Details(promoted=in_use())
    return scene.succeeded(told, refused=FailureClass.NOT_FOUND, message=why).settled()


def in_a_queue() -> Scene:
    """Train waits for Kueue."""
    scene = started(compute={"gpus": 1, "queueName": "gpus"}).succeeded().settled()
    waits = {"state": ChildState.PENDING, "is_suspended": True, "queue": "gpus"}
    return scene.reporting(**waits).settled()


JOBS: dict[str, tuple[str, Callable[[], Scene]]] = {
    "new": (PROGRESSING, Scene),
    "pending-base-model": (PROGRESSING, lambda: started(baseModel={"name": "none"})),
    "pending-secret": (
        PROGRESSING,
        lambda: started().failed(FailureClass.SECRET_NOT_FOUND).settled(),
    ),
    "pending-node": (PROGRESSING, lambda: Scene().hindered(Reason.QUOTA_EXCEEDED).settled()),
    "queued": (PROGRESSING, lambda: replace(Scene(), queue_position=2).settled()),
    "queued-kueue": (PROGRESSING, in_a_queue),
    "running-prepare": (PROGRESSING, started),
    "running-train": (PROGRESSING, lambda: started().succeeded().settled()),
    "running-judge": (PROGRESSING, judging),
    "retrying": (PROGRESSING, lambda: started().failed(FailureClass.UNAVAILABLE).settled()),
    "suspended": (SUSPENDED, lambda: started(suspend=True)),
    "succeeded-promote": (HEALTHY, judged),
    "succeeded-reject": (HEALTHY, lambda: judged("Reject", sequence=0)),
    "succeeded-not-needed": (HEALTHY, lambda: judged("NotNeeded", sequence=0)),
    "succeeded-inconclusive": (HEALTHY, lambda: judged("Inconclusive", sequence=0)),
    "succeeded-awaiting-approval": (
        HEALTHY,
        lambda: judged(sequence=0, policy="Manual"),
    ),
    "succeeded-then-edited": (PROGRESSING, lambda: judged().edited(suspend=True)),
    "pin-refused": (DEGRADED, pin_refused),
    "failed-data": (DEGRADED, lambda: started().failed(FailureClass.INVALID_DATA).settled()),
    "failed-spec": (DEGRADED, lambda: started(method="DPO")),
}
"""Name -> what Argo CD shall say, and how it came about."""


def watched(**spec: Any) -> BaseScene:
    """The first look is under way."""
    return BaseScene(base=a_watched(**spec)).settled()


def unwritten() -> BaseScene:
    """Its first revision could not be committed, for a reason that passes."""
    return watched(writeBack=WRITE_BACK).found("a").settled().failed(FailureClass.UNAVAILABLE)


BASE_MODELS: dict[str, tuple[str, Callable[[], BaseScene]]] = {
    "new": (PROGRESSING, BaseScene),
    "resolving": (PROGRESSING, watched),
    "queued": (PROGRESSING, lambda: BaseScene().in_line(3).settled()),
    "ready": (HEALTHY, lambda: watched().found("a")),
    "settling": (HEALTHY, lambda: watched().found("a").looked("b")),
    "suspended": (SUSPENDED, lambda: watched().found("a").edited(suspend=True).settled()),
    "unavailable": (PROGRESSING, lambda: watched().failed(FailureClass.UNAVAILABLE)),
    "write-back-failed": (PROGRESSING, unwritten),
    "not-found": (DEGRADED, lambda: watched().failed(FailureClass.NOT_FOUND)),
    "edited": (PROGRESSING, lambda: watched().found("a").edited(pollPeriodSeconds=600)),
}


def documents() -> Iterator[tuple[Path, str, dict[str, Any]]]:
    """Every object: its file, what Argo CD shall say of it, and the object."""
    for name, (health, life) in JOBS.items():
        yield CHECKS / "FineTuneJob" / "testdata" / f"{name}.yaml", health, served(life().job)
    for name, (health, watch) in BASE_MODELS.items():
        yield CHECKS / "BaseModel" / "testdata" / f"{name}.yaml", health, served(watch().base)


def served(of: FineTuneJob | BaseModelObject) -> dict[str, Any]:
    """What a reader of its health can go by: without defaults, hashes and figures."""
    kind = "FineTuneJob" if isinstance(of, FineTuneJob) else "BaseModel"
    whole = to_document(of)
    metadata = {name: whole["metadata"][name] for name in ("name", "namespace", "generation")}
    spec = of.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    told = ("observedGeneration", "phase", "conditions")
    status = {name: whole["status"][name] for name in told if name in whole["status"]}
    head = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata}
    return {**head, "spec": spec, "status": status}


def message(health: str, document: dict[str, Any]) -> str:
    """What Argo CD shows beside the health: reason and message of the condition that decides."""
    status, kind = document["status"], document["kind"]
    if status["observedGeneration"] != document["metadata"]["generation"]:
        return "the operator has not seen this generation yet"
    usual = "Finished" if kind == "FineTuneJob" else "Ready"
    decides = {PROGRESSING: "Reconciling", DEGRADED: "Stalled"}.get(health, usual)
    (found,) = [one for one in status["conditions"] if one["type"] == decides]
    return ": ".join(filter(None, (found["reason"], found["message"])))


def argo_tests(kind: str) -> list[dict[str, Any]]:
    """The cases of a kind's health_test.yaml."""
    of_kind = [(path, health, one) for path, health, one in documents() if one["kind"] == kind]
    return [
        {
            "healthStatus": {"status": health, "message": message(health, document)},
            "inputPath": f"testdata/{path.name}",
        }
        for path, health, document in of_kind
    ]


def written(document: Any) -> str:
    """As the file has it."""
    return yaml.safe_dump(document, sort_keys=False, width=100, allow_unicode=True)


if __name__ == "__main__":
    for path, _, document in documents():
        path.write_text(written(document), encoding="utf-8")
    for kind in ("FineTuneJob", "BaseModel"):
        tests = CHECKS / kind / "health_test.yaml"
        tests.write_text(written({"tests": argo_tests(kind)}), encoding="utf-8")
