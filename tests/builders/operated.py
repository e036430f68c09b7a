"""The operator as a real process on a real API server, and what a test does with it."""

import contextlib
import json
import os
import signal
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.api import Json
from cluster.plane import ControlPlane, free_port
from cluster.pods import Kubelet
from cluster.process import Process, wait_until

ROOT = Path(__file__).parents[2]
ACCOUNT = ("tunekeeper-controller", "tunekeeper-system")
"""The operator has the rights of manifests/rbac, and no others."""

FAST = {
    "lease_duration_s": 8,
    "lease_renew_s": 5,
    "lease_retry_s": 0.5,
    "retry_base_s": 0.2,
    "retry_cap_s": 1,
    "requeue_cap_s": 1,
    "progress_period_s": 0.2,
    "pending_grace_s": 0.5,
    "events_period_s": 0.5,
}
"""Settings of every test: nobody waits for a pause that a cluster needs."""

PATIENCE_S = 30.0
START_S = 60.0
"""Python imports for seconds where many work at once."""

SPEC: Json = {
    "baseModel": {"directory": {"path": "/cache/base"}},
    "dataset": {"train": {"uri": "file:///cache/train.jsonl"}},
    "output": {"uri": "file:///cache/out"},
    "compute": {"gpus": 0},
}


@dataclass
class Desk:
    """One operator, one namespace and its kubelet: what a person and a node do, in short words."""

    plane: ControlPlane
    namespace: str
    kubelet: Kubelet
    settings: Json
    process: Process = field(init=False)
    health_port: int = field(init=False)
    _kubeconfig: Path | None = None

    # The operator

    def start(self) -> None:
        """Start the operator and return when it is ready."""
        self.launch()
        wait_until(self._is_ready, "the operator is ready", START_S)

    def launch(self) -> None:
        """Start the operator and wait for nothing."""
        self.health_port = free_port("127.0.0.1")
        address = f"127.0.0.1:{self.health_port}"
        settings = {"metrics_address": address, "health_address": address, **FAST, **self.settings}
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        kubeconfig = self._kubeconfig or self.plane.kubeconfig_for(*ACCOUNT)
        self._kubeconfig = kubeconfig  # a process that starts again finds the file of the first
        self.process = Process(
            f"operator-{self.namespace}",
            [sys.executable, "-P", "-m", "controller", f"--kubeconfig={kubeconfig}", *flags],
            self.plane.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def stop(self) -> None:
        """SIGTERM, and return when it has ended well."""
        os.kill(self.process.pid, signal.SIGTERM)
        wait_until(lambda: not self.process.is_alive(), "the operator ends", PATIENCE_S)

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()

    def read(self, path: str) -> str:
        """A page of its health and metrics server."""
        url = f"http://127.0.0.1:{self.health_port}{path}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())

    def log(self) -> str:
        """What it has logged so far."""
        return self.process.log.read_text(encoding="utf-8")

    def _is_ready(self) -> bool:
        self.process.check()
        with contextlib.suppress(OSError):
            return self.read("/readyz") == "ok\n"
        return False

    # The object

    def path(self, name: str = "intents", subresource: str = "") -> str:
        """Of a FineTuneJob."""
        kinds = f"/apis/tunekeeper.dev/v1alpha1/namespaces/{self.namespace}/finetunejobs"
        return "/".join(filter(None, (kinds, name, subresource)))

    def apply(self, name: str = "intents", **spec: Any) -> Json:
        """Create a FineTuneJob."""
        body = {
            "apiVersion": "tunekeeper.dev/v1alpha1",
            "kind": "FineTuneJob",
            "metadata": {"name": name},
            "spec": {**SPEC, **spec},
        }
        return self.plane.api.post(self.path(""), body)

    def edit(self, name: str = "intents", **spec: Any) -> Json:
        """Change some of its spec."""
        return self.plane.api.patch(self.path(name), {"spec": spec})

    def annotate(self, name: str = "intents", **annotations: str) -> Json:
        """Set annotations of ours."""
        ours = {f"tunekeeper.dev/{key}": value for key, value in annotations.items()}
        return self.plane.api.patch(self.path(name), {"metadata": {"annotations": ours}})

    def seen(self, name: str = "intents") -> Json:
        """As it is now."""
        return self.plane.api.get(self.path(name))

    def status(self, name: str = "intents") -> Json:
        """Its status now."""
        return dict(self.seen(name).get("status", {}))

    def condition(self, kind: str, name: str = "intents") -> Json:
        """One of its conditions; empty when it is absent."""
        conditions = self.status(name).get("conditions", [])
        return next((one for one in conditions if one["type"] == kind), {})

    def until(
        self,
        is_true: Callable[[Json], object],
        what: str,
        name: str = "intents",
        timeout_s: float = PATIENCE_S,
    ) -> Json:
        """Its status, once that is so; what it was instead when it never is."""
        return self.until_of(self.path(name), is_true, what, timeout_s)

    def until_of(
        self,
        path: str,
        is_true: Callable[[Json], object],
        what: str,
        timeout_s: float = PATIENCE_S,
    ) -> Json:
        """The same of whatever object lies at the path."""
        seen: Json = {}

        def check() -> bool:
            seen.clear()
            seen.update(self.plane.api.get(path).get("status", {}))
            return bool(is_true(seen))

        try:
            wait_until(check, what, timeout_s)
        except TimeoutError as error:
            raise AssertionError(f"{error}; the status is {seen}\n{self.process.tail(8)}") from None
        return seen

    def until_phase(self, phase: str, reason: str = "", name: str = "intents") -> Json:
        """Its status, once it is in that phase for that reason."""

        def check(status: Json) -> bool:
            reasons = {one["reason"] for one in status.get("conditions", [])}
            return status.get("phase") == phase and (not reason or reason in reasons)

        return self.until(check, f"{name} is {phase} {reason}", name)

    def succeed(self, name: str = "intents", run: int = 1, uid: str = "") -> Json:
        """Let every stage do its work; the status at the end."""
        for stage in ("prepare", "train", "judge"):
            self.kubelet.pod(stage, run=run, job=name, uid=uid).running().succeeded()
        return self.until_phase("Succeeded", "Promote", name)

    # What is there

    def jobs(self) -> list[Json]:
        """All Jobs of the namespace."""
        return list(self.plane.api.get(self.jobs_path)["items"])

    @property
    def jobs_path(self) -> str:
        """Of the Jobs."""
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    def writes(self, path: str, since: Json, *, seconds: int = 1) -> list[Json]:
        """The versions of what lies at the path since then, and of so many seconds from now."""
        version = since["metadata"]["resourceVersion"]
        query = f"watch=1&resourceVersion={version}&timeoutSeconds={seconds}"
        _, body = self.plane.api.raw("GET", f"{path}?{query}")
        return [json.loads(line) for line in body.splitlines()]

    def events(self, reason: str = "") -> list[Json]:
        """Events about FineTuneJobs of the namespace."""
        path = f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events"
        found = self.plane.api.get(path)["items"]
        ours = [one for one in found if one["regarding"].get("kind") == "FineTuneJob"]
        return [one for one in ours if not reason or one["reason"] == reason]


@contextlib.contextmanager
def operated(
    plane: ControlPlane,
    namespace: str,
    *,
    gpus: int = 0,
    node: Kubelet | None = None,
    **settings: Any,
) -> Iterator[Desk]:
    """An operator at work and a node, ended at the end of the test."""
    with node or Kubelet(plane.api, namespace, gpus=gpus) as kubelet:
        desk = Desk(plane, namespace, kubelet, settings)
        try:
            desk.start()
            yield desk
            assert '"reconcile failed' not in desk.log(), desk.process.tail()
            assert "is forbidden: User" not in desk.log(), desk.process.tail()  # by RBAC
        except BaseException:
            sys.stderr.write(desk.process.tail(40))  # pytest shows it when the test failed
            raise
        finally:
            desk.process.stop()
