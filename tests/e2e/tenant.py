"""A namespace as a user has it: restricted pod security, three Secrets, its own jobs."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cluster.api import ApiFailed, Json
from cluster.plane import ControlPlane

KIND = "finetunejobs.tunekeeper.dev"
API = "/apis/tunekeeper.dev/v1alpha1"
MANAGED = "app.kubernetes.io/managed-by=tunekeeper"
LOOK_PERIOD_S = 0.5
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}

Status = dict[str, Any]


class TooLongError(AssertionError):
    """What was waited for did not come; the message holds the last status."""


@dataclass(frozen=True)
class Tenant:
    """One namespace."""

    plane: ControlPlane
    namespace: str

    def made(self, secrets: Mapping[str, Mapping[str, str]]) -> "Tenant":
        """With its Secrets, by name."""
        metadata = {"name": self.namespace, "labels": RESTRICTED}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        for name, values in secrets.items():
            self.apply(
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {"name": name, "namespace": self.namespace},
                    "stringData": dict(values),
                }
            )
        return self

    def apply(self, document: Json) -> None:
        """As a user does: `kubectl apply -f -`."""
        self.plane.kubectl("apply", "-f", "-", stdin=document)

    def patch(self, name: str, spec: Json) -> None:
        """Merge into the spec of a job."""
        self.plane.api.patch(self._job(name), {"spec": spec})

    def delete(self, name: str) -> None:
        """A job, as a user does."""
        self.plane.api.delete(self._job(name))

    def status(self, name: str) -> Status:
        """Of a job; empty before the controller saw it."""
        found = self.plane.api.get(self._job(name))
        return dict(found.get("status", {}))

    def _job(self, name: str) -> str:
        return f"{API}/namespaces/{self.namespace}/finetunejobs/{name}"

    def looks(self, name: str, timeout_s: float) -> Iterator[Status]:
        """The status again and again, until the time is over."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            yield self.status(name)
            time.sleep(LOOK_PERIOD_S)

    def await_status(
        self, name: str, is_wanted: Callable[[Status], object], what: str, timeout_s: float = 120
    ) -> Status:
        """The first status that is wanted.

        Raises:
            TooLongError: none was in time, or the job finished before.
        """
        status: Status = {}
        for status in self.looks(name, timeout_s):
            if is_wanted(status):
                return status
            if is_finished(status):
                raise TooLongError(f"{name} finished before it was {what}: {status}")
        raise TooLongError(f"{name} was not {what} within {timeout_s:g} s: {status}")

    def finished(self, name: str, timeout_s: float = 420) -> Status:
        """The status at the end, whatever the end is."""
        return self.await_status(name, is_finished, "finished", timeout_s)

    def stage_jobs(self, name: str, stage: str) -> list[Json]:
        """Jobs of a stage, as they are now."""
        return self._children("/apis/batch/v1", "jobs", name, stage)

    def stage_pods(self, name: str, stage: str) -> list[Json]:
        """Pods of a stage, as they are now."""
        return self._children("/api/v1", "pods", name, stage)

    def _children(self, api: str, plural: str, name: str, stage: str) -> list[Json]:
        selector = f"{MANAGED},tunekeeper.dev/job={name},tunekeeper.dev/stage={stage}"
        path = f"{api}/namespaces/{self.namespace}/{plural}?labelSelector={selector}"
        return list(self.plane.api.get(path)["items"])

    def events(self, name: str) -> list[Json]:
        """Events about a job."""
        path = f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events"
        return [one for one in self.plane.api.get(path)["items"] if _is_about(one, name)]

    def delete_pod(self, name: str) -> None:
        """As an eviction does: with its grace period, and without waiting."""
        with suppress(ApiFailed):
            self.plane.api.delete(f"/api/v1/namespaces/{self.namespace}/pods/{name}")


def _is_about(event: Json, job: str) -> bool:
    return (event["regarding"]["kind"], event["regarding"]["name"]) == ("FineTuneJob", job)


def condition(status: Status, kind: str) -> tuple[str, str]:
    """Status and reason of a condition; empty texts when it is absent."""
    for one in status.get("conditions", []):
        if one["type"] == kind:
            return one["status"], one["reason"]
    return "", ""


def is_finished(status: Status) -> bool:
    """Whether the job will do no more by itself."""
    return condition(status, "Finished")[0] == "True"


def is_training(status: Status) -> bool:
    """Whether the first optimizer steps are done."""
    progress = status.get("progress") or {}
    return progress.get("stage") == "train" and progress.get("step", 0) > 0
