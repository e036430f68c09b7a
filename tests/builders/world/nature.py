"""What Kubernetes does by itself: the Job controller, the kubelet and the garbage collector.

Each function makes one small move and says whether there was one to make.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from builders.fake_api import Json
from builders.jobs import DIGEST
from builders.world.api import WorldApi

from controller.api.meta import rfc3339
from controller.kube.resources import JOBS, PODS
from controller.shell.kinds import FINETUNEJOBS
from trainer.contract.failures import EXIT_CODES, FailureClass

LABEL = "tunekeeper.dev"
OVER = ("Succeeded", "Failed")
USUAL: dict[str, dict[str, Any]] = {
    "prepare": {"baseRevision": "abc", "baseDigest": DIGEST, "datasetDigest": DIGEST},
    "train": {"adapterDigest": DIGEST},
    "judge": {"verdict": "Promote", "evaluationId": "e1", "sequence": 1},
    "collect": {},  # it has looked, and the store has no word
}


def owner_of(doc: Json) -> str:
    return next((o["uid"] for o in doc["metadata"].get("ownerReferences", [])), "")


def is_over(pod: Json) -> bool:
    return pod["status"]["phase"] in OVER


def is_finished(job: Json) -> bool:
    conditions = job.get("status", {}).get("conditions", [])
    return any(c["type"] in ("Failed", "Complete") for c in conditions)


def is_ours(doc: Json) -> bool:
    return f"{LABEL}/uid" in doc["metadata"].get("labels", {})


@dataclass
class Nature:
    """Of one namespace."""

    api: WorldApi

    # What is there

    def jobs(self) -> list[Json]:
        return [job for job in self.api.all(JOBS) if is_ours(job)]

    def pods(self, job: Json | None = None) -> list[Json]:
        found = self.api.all(PODS)
        return [p for p in found if job is None or owner_of(p) == job["metadata"]["uid"]]

    def live_pods(self) -> list[Json]:
        return [pod for pod in self.pods() if not is_over(pod)]

    # Moves

    def moves(self) -> bool:
        """The first move that there is to make."""
        return any(move() for move in (self.starts_pod, self.decides_job, self.collects))

    def starts_pod(self) -> bool:
        for job in self.jobs():
            is_going = "deletionTimestamp" in job["metadata"]
            if not is_going and not is_finished(job) and not job.get("status", {}).get("active"):
                self._create_pod(job)
                return True
        return False

    def decides_job(self) -> bool:
        for job in self.jobs():
            pods = self.pods(job)
            was_started = job.get("status", {}).get("active")
            if was_started and not is_finished(job) and all(is_over(pod) for pod in pods):
                self._decide(job, pods)
                return True
        return False

    def collects(self) -> bool:
        """One step of a deletion: ownerless Jobs, then their pods' ends, then the rest."""
        objects = {o["metadata"]["uid"] for o in self.api.all(FINETUNEJOBS)}
        for job in self.jobs():
            if owner_of(job) not in objects:
                self.api.remove(JOBS, job)
                return True
        known = {job["metadata"]["uid"]: job for job in self.api.all(JOBS)}
        for pod in self.pods():
            if self._is_to_go(pod, known):
                self._end_or_remove(pod)
                return True
        for job in self.jobs():
            if "deletionTimestamp" in job["metadata"] and not self.pods(job):
                self.api.remove(JOBS, job)
                return True
        return False

    def _is_to_go(self, pod: Json, jobs: dict[str, Json]) -> bool:
        if "deletionTimestamp" in pod["metadata"]:
            return True
        owner = owner_of(pod)
        if not owner:
            return False  # an orphan runs to its end
        job = jobs.get(owner)
        return job is None or "deletionTimestamp" in job["metadata"]

    def _end_or_remove(self, pod: Json) -> None:
        if is_over(pod):
            self.api.remove(PODS, pod)
        elif "deletionTimestamp" not in pod["metadata"]:
            self.delete_pod(pod)
        else:
            self.end(pod, FailureClass.INTERRUPTED)

    # What is done to one

    def delete_pod(self, pod: Json) -> None:
        due = rfc3339(self.api.now + timedelta(seconds=120))
        self.api.put(PODS, {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": due}})

    def end(self, pod: Json, failure: FailureClass | None, *, step: int = 0) -> None:
        """The stage says so."""
        word = {
            "uid": pod["metadata"]["labels"][f"{LABEL}/uid"],
            "run": int(pod["metadata"]["labels"][f"{LABEL}/run"]),
            "stage": (stage := pod["metadata"]["labels"][f"{LABEL}/stage"]),
            "attempt": int(pod["metadata"]["labels"][f"{LABEL}/attempt"]),
            "runId": f"{int(pod['metadata']['labels'][f'{LABEL}/run']):016x}",
        }
        told = USUAL[stage] if failure is None else {"failure": failure, "message": "because"}
        code = 0 if failure is None else EXIT_CODES[failure]
        self.exit(pod, code, json.dumps({**word, **told, "checkpointStep": step}) + "\n{}\n")

    def exit(self, pod: Json, code: int, message: str = "", *, taken: str = "") -> None:
        """The container ends, with these last words."""
        ended = {"exitCode": code, "message": message, "finishedAt": rfc3339(self.api.now)}
        disrupted = {"type": "DisruptionTarget", "status": "True", "reason": taken}
        status = {
            **pod["status"],
            "phase": "Succeeded" if code == 0 else "Failed",
            "conditions": [disrupted] if taken else [],
            "containerStatuses": [{"name": "stage", "state": {"terminated": ended}}],
        }
        self.api.put(PODS, {**pod, "status": status})

    def orphan(self, job: Json) -> None:
        """``kubectl delete --cascade=orphan``."""
        meta = {**job["metadata"], "deletionTimestamp": rfc3339(self.api.now)}
        self.api.put(JOBS, {**job, "metadata": {**meta, "finalizers": ["orphan"]}})
        for pod in self.pods(job):
            self.api.put(PODS, {**pod, "metadata": {**pod["metadata"], "ownerReferences": []}})
        self.api.remove(JOBS, job)

    def _create_pod(self, job: Json) -> None:
        meta = job["metadata"]
        owner = {"kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
        labels = {**meta["labels"], "batch.kubernetes.io/job-name": meta["name"]}
        pod = {
            "metadata": {
                "name": f"{meta['name']}-{meta['uid']}",
                "namespace": "ml",
                "labels": labels,
                "ownerReferences": [owner],
            },
            "spec": {"nodeName": "node-1"},
            "status": {"phase": "Running", "startTime": rfc3339(self.api.now)},
        }
        self.api.put(JOBS, {**job, "status": {"active": 1}})
        self.api.put(PODS, pod)

    def _decide(self, job: Json, pods: list[Json]) -> None:
        is_good = any(pod["status"]["phase"] == "Succeeded" for pod in pods)
        kind = "Complete" if is_good else "Failed"
        told = {"type": kind, "status": "True", "lastTransitionTime": rfc3339(self.api.now)}
        self.api.put(JOBS, {**job, "status": {"conditions": [told]}})
