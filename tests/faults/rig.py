"""One case's own corner of a control plane: a namespace, its node, its replicas, its history."""

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import yaml
from builders.operated import ACCOUNT, FAST, SPEC
from cluster.api import ApiFailed, Json
from cluster.plane import ControlPlane, free_port
from cluster.pod import Pod
from faults.history import CHILD, JOB, POD, History
from faults.journal import Journal
from faults.kubelet import ScriptedKubelet
from faults.loop import Loop
from faults.objects import is_alive, labels, owner
from faults.proxy import Line, Proxy, Reply
from faults.replica import Replica
from faults.requests import Sort
from faults.watching import WATCHED, Gates

NAME = "intents"
LEASE = {"lease_duration_s": 2, "lease_renew_s": 1, "lease_retry_s": 0.3}
LEASE_ROLE, MUTANT_ROLE = "fault-suite-lease", "fault-suite-mutant"
PATIENCE_S = 60.0
LOOK_S = 0.05
LED_S = 1.5
"""A leader renews more often."""


@dataclass(frozen=True)
class Knobs:
    """How long the suite waits; the CI sample is shorter than the full run."""

    quiet_s: float = 1.0
    """How long nothing may be written at the end."""
    stale_s: float = 6.0
    """How long a frozen watch shows nothing."""
    away_s: float = 6.0
    """How long the API server is away."""


class Disturbs(Protocol):
    """What a rig must know of a fault."""

    changes_crds: ClassVar[bool]

    async def meet(self, line: Line) -> Reply | None:
        """What the operator is told."""

    def at_point(self, rig: "Rig", point: str) -> None:
        """The life has come to a named point: a stage's pod runs, it is suspended, it ended."""

    def is_due_at(self, point: str) -> bool:
        """Whether something is still to be done there."""


@dataclass
class Rig:
    """Made and unmade by ``opened``; used by the thread of its case, and by its kubelet's."""

    plane: ControlPlane
    loop: Loop
    fault: Disturbs
    knobs: Knobs
    title: str
    mutant: str = ""
    memory: set[str] = field(default_factory=set)
    """What the script remembers."""
    by_hand: set[int] = field(default_factory=set)
    """Revisions that the case wrote itself."""
    removed_by_hand: set[str] = field(default_factory=set)
    replicas: list[Replica] = field(default_factory=list)
    journal: Journal = field(default_factory=Journal)
    gates: Gates = field(init=False)
    began_s: float = field(default_factory=time.monotonic)

    # Its parts

    @contextlib.contextmanager
    def opened(self, ends: Callable[["Rig", Pod], bool], count: int = 1):
        """Everything is there; the operator has been started and may not be ready."""
        self.gates = self.loop.do(_made_gates())
        self.namespace = f"{self.title[:40].strip('-')}-{secrets.token_hex(3)}"
        self._make_namespace()
        self.history = History(self.plane, self.namespace, may_relist=self.fault.changes_crds)
        self.loop.do(self.history.start())
        self.kubelet = ScriptedKubelet(
            self.plane.api,
            self.namespace,
            history=self.history,
            end=lambda pod: ends(self, pod),
            met=self._met,
        )
        self._make_foreign()
        with contextlib.ExitStack() as stack:
            stack.callback(self._remove_namespace)
            stack.callback(lambda: self.loop.do(self.history.stop()))
            stack.enter_context(self.kubelet)
            for number in range(count):
                self._start_replica("ab"[number], stack)
            yield self

    def _met(self, pod: Pod) -> None:
        self.fault.at_point(self, pod.stage)

    def at_point(self, point: str) -> None:
        """Tell the fault."""
        self.fault.at_point(self, point)

    def _start_replica(self, name: str, stack: contextlib.ExitStack) -> None:
        proxy = Proxy(self.plane, name, self.journal, self.gates, self.fault)
        port = self.loop.do(proxy.start())
        stack.callback(lambda: self.loop.do(proxy.stop()))
        replica = Replica(
            name, self.namespace, self.plane.folder, self._flags(name, port), self.mutant
        )
        self.replicas.append(replica)
        replica.start()
        stack.callback(replica.stop)
        if name == "a":
            self.until(self.is_led, "the first replica leads")
        self.until(lambda: self.watches_all(name), f"replica {name} watches")

    def _flags(self, name: str, port: int) -> Sequence[str]:
        address = f"127.0.0.1:{free_port('127.0.0.1')}"
        settings = {
            **FAST,
            **LEASE,
            "namespace": self.namespace,
            "watch_namespaces": self.namespace,
            "kubeconfig": self._write_kubeconfig(name, port),
            "metrics_address": address,
            "health_address": address,
        }
        return [f"--{key.replace('_', '-')}={value}" for key, value in settings.items()]

    def _write_kubeconfig(self, name: str, port: int) -> Path:
        path = self.plane.folder / f"{self.namespace}-{name}.kubeconfig"
        named = {"cluster": "proxy", "user": "operator"}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "operator", "user": {"token": self.plane.token_for(*ACCOUNT)}}],
            "contexts": [{"name": "proxy", "context": named}],
        }
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            yaml.safe_dump(document, file)
        return path

    def _make_namespace(self) -> None:
        api, name = self.plane.api, self.namespace
        enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
        api.post("/api/v1/namespaces", {"metadata": {"name": name, "labels": enforced}})
        for role in (LEASE_ROLE, *([MUTANT_ROLE] if self.mutant else [])):
            self._give(role)
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        self.until(lambda: api.find(account), f"{account} is made")

    def _make_foreign(self) -> None:
        """A Job that the operator's watch shows and that is no child of anything."""
        told = {"app.kubernetes.io/managed-by": "tunekeeper", "tunekeeper.dev/foreign": "yes"}
        container = {"name": "stage", "image": "none.example/foreign:1"}
        template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
        spec = {"suspend": True, "template": template}
        meta = {"name": f"{NAME}-other-r1-train-1", "labels": told}
        self.plane.api.post(self.history.path(CHILD), {"metadata": meta, "spec": spec})

    def _give(self, role: str) -> None:
        """To the operator, in this namespace."""
        subject = {"kind": "ServiceAccount", "name": ACCOUNT[0], "namespace": ACCOUNT[1]}
        named = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
        binding = {"metadata": {"name": role}, "roleRef": named, "subjects": [subject]}
        root = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{self.namespace}"
        self.plane.api.post(f"{root}/rolebindings", binding)

    def _remove_namespace(self) -> None:
        """Without waiting; its pods have no kubelet any more."""
        api = self.plane.api
        with contextlib.suppress(ApiFailed, OSError):
            api.delete(f"/api/v1/namespaces/{self.namespace}")
            pods = f"/api/v1/namespaces/{self.namespace}/pods"
            for pod in api.get(pods)["items"]:
                api.raw("DELETE", f"{pods}/{pod['metadata']['name']}", {"gracePeriodSeconds": 0})

    # What a user does

    def path(self, kind: str = JOB, name: str = NAME) -> str:
        """Of an object of the namespace."""
        return f"{self.history.path(kind)}/{name}"

    def apply(self, **spec: Any) -> Json:
        """Create the FineTuneJob."""
        body = {
            "apiVersion": "tunekeeper.dev/v1alpha1",
            "kind": "FineTuneJob",
            "metadata": {"name": NAME},
            "spec": {**SPEC, **spec},
        }
        return self.plane.api.post(self.history.path(JOB), body)

    def edit(self, **spec: Any) -> None:
        """Change some of its spec."""
        self.plane.api.patch(self.path(), {"spec": spec})

    def recreate(self) -> None:
        """Delete the object and make it again, as it is."""
        spec = self.plane.api.get(self.path())["spec"]
        self.plane.api.delete(self.path())
        self.until(lambda: self.plane.api.find(self.path()) is None, "it is deleted")
        self.apply(**spec)

    def wipe_status(self) -> None:
        """Nobody but the operator should; whoever does wins against a write under way."""
        wiped = None
        while wiped is None:
            seen = self.plane.api.get(self.path())
            with contextlib.suppress(ApiFailed):
                wiped = self.plane.api.put(f"{self.path()}/status", {**seen, "status": {}})
        self.by_hand.add(int(wiped["metadata"]["resourceVersion"]))

    # What is so now

    def job(self) -> Json:
        """The FineTuneJob; empty when it is not there."""
        return next((job for job in self.history.now(JOB) if not _is_other(job)), {})

    def phase(self) -> str:
        """Of the FineTuneJob."""
        return str(self.job().get("status", {}).get("phase", ""))

    def children(self) -> list[Json]:
        """The Jobs of the FineTuneJob that is there now."""
        uid = self.job().get("metadata", {}).get("uid", "none")
        return [job for job in self.history.now(CHILD) if owner(job) == uid]

    def all_children(self) -> list[Json]:
        """The Jobs of any FineTuneJob that there is or was."""
        return [job for job in self.history.now(CHILD) if owner(job)]

    def pods(self) -> list[Json]:
        """Of any FineTuneJob that there is or was."""
        return [pod for pod in self.history.now(POD) if owner(pod)]

    def alive(self) -> list[Json]:
        """The pods that may be at work."""
        return [pod for pod in self.pods() if is_alive(pod)]

    def has_running(self, stage: str) -> bool:
        """Whether a pod of that stage runs."""
        running = (pod for pod in self.alive() if pod["status"].get("phase") == "Running")
        return any(labels(pod).get("stage") == stage for pod in running)

    def until(self, is_true: Callable[[], object], what: str, timeout_s: float = 0.0) -> None:
        """Return when it is so; without a limit of its own, what the longest fault leaves.

        Raises:
            TimeoutError: it never was.
        """
        timeout_s = timeout_s or PATIENCE_S + max(self.knobs.stale_s, self.knobs.away_s)
        deadline_s = time.monotonic() + timeout_s
        while not is_true():
            self.kubelet_errors()
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{what}: not within {timeout_s:g} s")
            time.sleep(LOOK_S)

    def kubelet_errors(self) -> None:
        """Nothing moves any more when its kubelet has ended.

        Raises:
            RuntimeError: it has; from what ended it.
        """
        if hasattr(self, "kubelet") and self.kubelet.errors:
            raise RuntimeError("the scripted kubelet ended") from self.kubelet.errors[0]

    def is_quiet(self, for_s: float) -> bool:
        """Whether the same replica has led for so long, nothing was written, and nobody sleeps."""
        since_s = time.monotonic() - for_s
        written = self.journal.of(Sort.WRITE, Sort.EVENT, since_s=since_s)
        has_woken = any(one.woken_s > since_s for one in self.replicas)
        return self.is_led(for_s) and not (written or has_woken)

    def watches_all(self, replica: str) -> bool:
        """Whether a replica has begun to watch all that it looks at."""
        begun = self.journal.of(Sort.WATCH, replica=replica)
        return {entry.request.resource for entry in begun} >= set(WATCHED)

    def is_led(self, for_s: float = 0.0) -> bool:
        """Whether a replica has led for so long, in its present life, and renews the Lease."""
        now_s = time.monotonic()
        return any(
            self.journal.led_since(one.alive_since_s, one.name, until_s=now_s - for_s)
            and self.journal.led_since(max(one.alive_since_s, now_s - LED_S), one.name)
            for one in self.replicas
        )


async def _made_gates() -> Gates:
    return Gates()


def _is_other(job: Json) -> bool:
    return job["metadata"]["name"] != NAME
