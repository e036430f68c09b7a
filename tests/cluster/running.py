"""A kubelet that runs pods: each container's own command, as a process of this machine.

What a pod brings is taken from its spec and nothing else: its environment is the container's and
nobody's beside it, its Secrets are the files of those that its volumes name, and its last word is
what lies at its termination message path. Only the paths lead elsewhere: what is mounted in a pod
lies below a folder of its own here, and each pod has a loopback address of its own for its port.
"""

import os
import secrets
import shutil
import signal
import sys
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from cluster.api import Json
from cluster.errandpod import ERRAND, ErrandPod
from cluster.pod import LABEL, Last, Pod
from cluster.pods import Kubelet, ignoring_absence
from cluster.process import Process, wait_until

ROOT = Path(__file__).parents[2]
OUTCOME_ENV, LISTEN_ENV = "TUNEKEEPER_OUTCOME", "TUNEKEEPER_LISTEN"
MOUNTED = ("/tmp", "/cache", "/var/run/tunekeeper")  # noqa: S108 - places in a pod
MESSAGE_LIMIT = 4096
"""A kubelet keeps no more of a termination message."""
SIGNALLED = 128
END_S = 20.0


@dataclass(frozen=True)
class Container:
    """A pod's one container, and the folder that stands for its file system."""

    pod: Pod
    root: Path
    address: str

    @property
    def message_path(self) -> Path:
        """Where its last word lies."""
        return self.inside(self.pod.container["terminationMessagePath"])

    def inside(self, path: str) -> Path:
        """A path of the pod, here."""
        return self.root / path.lstrip("/")

    def start(self, read_secret: Mapping[str, Mapping[str, bytes]]) -> Process:
        """Lay its files out and run its command."""
        self._lay_out(read_secret)
        program, *arguments = self.pod.container["command"]
        assert program == "python", program
        command = [sys.executable, *arguments]
        return Process(self.pod.name, command, self.root, env=dict(self._environment()))

    def _lay_out(self, read_secret: Mapping[str, Mapping[str, bytes]]) -> None:
        named = {volume["name"]: volume for volume in self.pod.spec["volumes"]}
        for mount in self.pod.container["volumeMounts"]:
            place = self.inside(mount["mountPath"])
            place.mkdir(parents=True)
            secret = named[mount["name"]].get("secret", {})
            for key, value in read_secret.get(secret.get("secretName", ""), {}).items():
                (place / key).write_bytes(value)
        self.message_path.parent.mkdir(parents=True, exist_ok=True)
        self.message_path.touch()  # a kubelet mounts an empty file

    def _environment(self) -> Iterator[tuple[str, str]]:
        """As it was asked for; and what an image brings: where Python finds our code."""
        yield from {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}.items()
        if "PYTHONPYCACHEPREFIX" in os.environ:
            yield "PYTHONPYCACHEPREFIX", os.environ["PYTHONPYCACHEPREFIX"]
        for entry in self.pod.container["env"]:
            yield entry["name"], self._translated(entry)
        yield OUTCOME_ENV, str(self.message_path)

    def _translated(self, entry: Json) -> str:
        if "valueFrom" in entry:
            assert entry["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.uid", entry
            return self.pod.uid
        value = str(entry.get("value", ""))
        if entry["name"] == LISTEN_ENV:
            return value.replace("0.0.0.0", self.address)  # noqa: S104 - it is what is replaced
        is_place = any(value == place or value.startswith(f"{place}/") for place in MOUNTED)
        return str(self.inside(value)) if is_place else value

    def last(self, exit_code: int) -> Last:
        """How it ended, as a kubelet tells it; a signal as a shell counts it."""
        message = self.message_path.read_bytes()[:MESSAGE_LIMIT].decode(errors="replace")
        return Last(exit_code if exit_code >= 0 else SIGNALLED - exit_code, message)


@dataclass
class RunningKubelet(Kubelet):
    """A node whose pods do their work; a context manager. Their logs stay below ``folder``."""

    folder: Path = field(kw_only=True)
    _running: dict[str, tuple[Container, Process]] = field(default_factory=dict, repr=False)
    _known: set[str] = field(default_factory=set, repr=False)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            for _, process in self._running.values():
                process.stop()

    def logs(self) -> str:
        """What every pod has written so far."""
        paths = sorted(self.folder.glob("*/*.log"))
        return "\n".join(f"== {path.stem}\n{path.read_text()}" for path in paths)

    def _tend(self) -> None:
        for seen in self.api.get(f"{self._pods}?labelSelector={LABEL}/uid")["items"]:
            if seen["metadata"]["uid"] not in self._known:
                ignoring_absence(lambda seen=seen: self._start(seen))
        self._tell_ends()
        super()._tend()

    def _start(self, seen: Json) -> None:
        self._known.add(seen["metadata"]["uid"])
        is_errand = ERRAND in seen["metadata"]["labels"]
        pod = (ErrandPod if is_errand else Pod)(self.place, seen)
        container = Container(pod, self.folder / pod.name, a_loopback_address())
        pod.running(container.address)
        self._running[pod.uid] = (container, container.start(self._secrets_of(pod)))

    def _secrets_of(self, pod: Pod) -> dict[str, dict[str, bytes]]:
        """Those that its volumes name, as far as they are there."""
        wanted = {volume.get("secret", {}).get("secretName") for volume in pod.spec["volumes"]}
        return {name: self._secret(name) for name in wanted if name}

    def _secret(self, name: str) -> dict[str, bytes]:
        found = self.api.find(f"/api/v1/namespaces/{self.namespace}/secrets/{name}") or {}
        return {key: b64decode(value) for key, value in found.get("data", {}).items()}

    def _tell_ends(self) -> None:
        for uid, (container, process) in list(self._running.items()):
            if (code := process.exit_code) is not None:
                del self._running[uid]
                ignoring_absence(lambda c=container, code=code: c.pod.ended(c.last(code)))
                self._tidy(container)

    def _end(self, pod: Pod, status: Json) -> None:
        """SIGTERM to what runs here; its own last word is the pod's."""
        if running := self._running.pop(pod.uid, None):
            container, process = running
            os.kill(process.pid, signal.SIGTERM)
            wait_until(lambda: not process.is_alive(), f"{pod.name} ends", END_S)
            pod.ended(container.last(process.exit_code or 0))
            self._tidy(container)
            status = {"phase": "Failed"}
        super()._end(pod, status)

    def _tidy(self, container: Container) -> None:
        """What was mounted goes with the pod; its log stays."""
        for place in MOUNTED:
            shutil.rmtree(container.inside(place), ignore_errors=True)


def a_loopback_address() -> str:
    """One that no other pod of this machine has: 16 million are there to choose from."""
    return ".".join(["127", *(str(1 + secrets.randbelow(254)) for _ in range(3))])
