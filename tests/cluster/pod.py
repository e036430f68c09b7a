"""One pod whose life the test writes, through the status subresource, as a kubelet would."""

import secrets
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from cluster.api import Api, Json
from cluster.process import wait_until

from trainer.contract.failures import EXIT_CODES, FailureClass
from trainer.contract.outcome import Details, Outcome
from trainer.contract.request import Stage, StageRequest, joined_request
from trainer.stage import StageResult, write_outcome

LABEL = "tunekeeper.dev"
CONTAINER = "stage"
RUN_ID = "0123456789abcdef"
DIGEST = f"sha256:{'a' * 64}"
PATIENCE_S = 20.0
KILLED = 137


@dataclass(frozen=True)
class Last:
    """How a container ends."""

    exit_code: int
    message: str = ""
    reason: str = ""

    def state(self, started: str) -> Json:
        """As it stands in the pod's status."""
        usual = "Completed" if self.exit_code == 0 else "Error"
        ended = {
            "exitCode": self.exit_code,
            "reason": self.reason or usual,
            "startedAt": started,
            "finishedAt": now(),
            "containerID": "containerd://0",
        }
        return {"terminated": ended | ({"message": self.message} if self.message else {})}


@dataclass(frozen=True)
class Place:
    """Where pods are: the API, their namespace and their node."""

    api: Api
    namespace: str
    node: str


class Pod:
    """One pod of a child Job."""

    def __init__(self, place: Place, seen: Json) -> None:
        self.place = place
        self.name: str = seen["metadata"]["name"]
        self.uid: str = seen["metadata"]["uid"]
        self.labels: dict[str, str] = seen["metadata"]["labels"]
        self.spec: Json = seen["spec"]
        self.ip = ""
        self._started = now()

    @property
    def path(self) -> str:
        """In the API."""
        return f"/api/v1/namespaces/{self.place.namespace}/pods/{self.name}"

    @property
    def stage(self) -> Stage:
        """Which stage it is."""
        return Stage(self.labels[f"{LABEL}/stage"])

    @property
    def container(self) -> Json:
        """The stage's container, as it was asked for."""
        return next(c for c in self.spec["containers"] if c["name"] == CONTAINER)

    @property
    def request(self) -> StageRequest:
        """What the stage is told to do."""
        env = {entry["name"]: entry.get("value", "") for entry in self.container["env"]}
        return StageRequest.model_validate_json(joined_request(env))

    def seen(self) -> Json | None:
        """As the API server has it now; None when it is gone."""
        found = self.place.api.find(self.path)
        return found if found and found["metadata"]["uid"] == self.uid else None

    # What happens to it

    def scheduled(self) -> Self:
        """Bound to the node, as a scheduler does it."""
        seen = self.seen()
        if seen and not seen["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": self.place.node}
            body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": self.name}}
            self.place.api.post(f"{self.path}/binding", body | {"target": target})
        return self

    def running(self, ip: str = "127.0.0.1") -> Self:
        """Scheduled and started; ``ip`` is where its progress is asked for."""
        self.scheduled()
        self.ip, self._started = ip, now()
        status = {
            "phase": "Running",
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "hostIP": "127.0.0.1",
            "hostIPs": [{"ip": "127.0.0.1"}],
            "startTime": self._started,
            "conditions": [condition("PodScheduled"), condition("Ready")],
        }
        self._write(status, {"running": {"startedAt": self._started}}, is_ready=True)
        return self

    def succeeded(self, details: Details | None = None, **fields: Any) -> Self:
        """The stage did its work; ``fields`` of the outcome differ from the usual ones."""
        return self.ended(Last(0, self.word(details, **fields)))

    def failed(
        self,
        failure: FailureClass,
        message: str = "because",
        *,
        details: Details | None = None,
        **fields: Any,
    ) -> Self:
        """The stage said why it could not, with the exit code of that class."""
        word = self.word(details, failure=failure, message=message, **fields)
        return self.ended(Last(EXIT_CODES[failure], word))

    def crashed(self, exit_code: int = KILLED, reason: str = "", message: str = "") -> Self:
        """It ended without an outcome: ``OOMKilled``, a traceback, garbage as last word."""
        return self.ended(Last(exit_code, message, reason))

    def ended(self, last: Last, **status: Any) -> Self:
        """The container ended like this."""
        self.scheduled()
        phase = "Succeeded" if last.exit_code == 0 else "Failed"
        conditions = [condition("PodScheduled"), condition("Ready", "False", "PodCompleted")]
        self._write({"phase": phase, "conditions": conditions} | status, last.state(self._started))
        return self

    def evicted(
        self, reason: str = "EvictionByEvictionAPI", message: str = "Eviction API: evicting"
    ) -> Self:
        """Taken away by the cluster: condition DisruptionTarget, then killed by SIGTERM's code."""
        disrupted = condition("DisruptionTarget", reason=reason) | {"message": message}
        word = self.word(failure=FailureClass.INTERRUPTED, message="told to stop")
        last = Last(EXIT_CODES[FailureClass.INTERRUPTED], word)
        return self.ended(last, conditions=[condition("PodScheduled"), disrupted])

    def cannot_pull(self, image: str = "") -> Self:
        """Scheduled, and waiting for an image that is not there."""
        self.scheduled()
        name = image or self.container["image"]
        message = f'Back-off pulling image "{name}": ErrImagePull: not found'
        waiting = {"waiting": {"reason": "ImagePullBackOff", "message": message}}
        started = {"phase": "Pending", "startTime": now()}
        self._write(started | {"conditions": [condition("PodScheduled")]}, waiting)
        self.event("Failed", message)
        return self

    def unschedulable(
        self, message: str = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    ) -> Self:
        """No node has room for it."""
        refused = condition("PodScheduled", "False", "Unschedulable") | {"message": message}
        self._patch({"phase": "Pending", "conditions": [refused]})
        self.event("FailedScheduling", message)
        return self

    def event(self, reason: str, message: str, kind: str = "Warning") -> None:
        """An event about it, as scheduler and kubelet write them."""
        namespace = self.place.namespace
        about = {"kind": "Pod", "namespace": namespace, "name": self.name, "uid": self.uid}
        body = {
            "metadata": {"name": f"{self.name}.{secrets.token_hex(5)}"},
            "involvedObject": about | {"apiVersion": "v1"},
            "reason": reason,
            "message": message,
            "type": kind,
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "count": 1,
        }
        self.place.api.post(f"/api/v1/namespaces/{namespace}/events", body)

    def deleted(self) -> Self:
        """Somebody deletes it (``kubectl delete pod``); the kubelet ends it if it is not held."""
        self.place.api.delete(self.path)
        return self

    def gone(self) -> None:
        """Return when the API server has it no more."""
        wait_until(lambda: self.seen() is None, f"pod {self.name} is gone", PATIENCE_S)

    def word(self, details: Details | None = None, **fields: Any) -> str:
        """The two lines of a termination message, written by the trainer's own code."""
        result = StageResult(self.outcome(**fields), details or Details())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "word"
            write_outcome(path, result)
            return path.read_text(encoding="utf-8")

    def outcome(self, **fields: Any) -> Outcome:
        """What a stage like this usually says at its end, unless ``fields`` say otherwise."""
        usual: dict[Stage, Json] = {
            Stage.PREPARE: {
                "base_revision": "abc",
                "base_digest": DIGEST,
                "dataset_digest": DIGEST,
            },
            Stage.TRAIN: {"adapter_digest": DIGEST},
            Stage.JUDGE: {"verdict": "Promote", "evaluation_id": "e1", "sequence": 1},
            Stage.COLLECT: {},
        }
        told = {
            "uid": self.labels[f"{LABEL}/uid"],
            "run": int(self.labels[f"{LABEL}/run"]),
            "attempt": int(self.labels[f"{LABEL}/attempt"]),
            "stage": self.stage,
            "run_id": RUN_ID,
        }
        has_failed = fields.get("failure") is not None
        return Outcome.model_validate(told | ({} if has_failed else usual[self.stage]) | fields)

    def _write(self, status: Json, container: Json, *, is_ready: bool = False) -> None:
        one = {
            "name": CONTAINER,
            "image": self.container["image"],
            "imageID": "",
            "ready": is_ready,
            "started": "running" in container,
            "restartCount": 0,
            "state": container,
        }
        self._patch(status | {"containerStatuses": [one]})

    def _patch(self, status: Json) -> None:
        body = {"metadata": {"uid": self.uid}, "status": status}
        self.place.api.patch(f"{self.path}/status", body)


def condition(kind: str, status: str = "True", reason: str = "") -> Json:
    """A condition of a pod or a node."""
    known = {"type": kind, "status": status, "lastTransitionTime": now()}
    return known | ({"reason": reason} if reason else {})


def now() -> str:
    """As Kubernetes writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
