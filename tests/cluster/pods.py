"""A kubelet played by the test: it starts, ends and loses pods through the status subresource.

What it writes is what a kubelet writes; the API server, the Job controller and the garbage
collector that react to it are real. Pods that are deleted are ended by a thread, unless the test
holds them.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from cluster.api import Api, ApiFailed, Json
from cluster.errandpod import ERRAND, ErrandPod
from cluster.pod import KILLED, LABEL, PATIENCE_S, Last, Place, Pod, condition
from cluster.process import wait_until

from trainer.contract.failures import EXIT_CODES, FailureClass

GPU = "nvidia.com/gpu"


@dataclass
class Kubelet:
    """One node and the pods of one namespace on it; a context manager.

    ``holds_deleted`` makes it deaf to deletions, as a node that is cut off: such pods stay
    terminating until ``let_go``.
    """

    api: Api
    namespace: str
    node: str = ""
    gpus: int = 0
    holds_deleted: bool = False
    _stopping: threading.Event = field(default_factory=threading.Event, repr=False)
    _errors: list[BaseException] = field(default_factory=list, repr=False)

    def __enter__(self) -> Self:
        self.node = self.node or f"{self.namespace[:50]}-node"
        self._join()
        self._thread = threading.Thread(target=self._watch, name="kubelet", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join(PATIENCE_S)
        self.api.delete(f"/api/v1/nodes/{self.node}")
        if self._errors and error is None:
            raise self._errors[0]

    @property
    def place(self) -> Place:
        """Where its pods are."""
        return Place(self.api, self.namespace, self.node)

    def pod(
        self,
        stage: str,
        *,
        run: int = 1,
        attempt: int = 1,
        uid: str = "",
        job: str = "",
        timeout_s: float = PATIENCE_S,
    ) -> Pod:
        """The pod of this attempt, once the Job controller has made it.

        Raises:
            TimeoutError: there is none in time.
        """
        wanted = {"stage": stage, "run": str(run), "attempt": str(attempt), "uid": uid, "job": job}
        labels = {f"{LABEL}/{name}": value for name, value in wanted.items() if value}
        what = f"pod with {labels} in {self.namespace}"
        return Pod(self.place, wait_until(lambda: self._first(labels), what, timeout_s))

    def errand(
        self, errand: str = "resolve", *, number: int = 0, timeout_s: float = PATIENCE_S
    ) -> ErrandPod:
        """The same of a BaseModel's errand; of any number where none is given."""
        wanted = {"errand": errand, "number": str(number) if number else ""}
        labels = {f"{LABEL}/{name}": value for name, value in wanted.items() if value}
        what = f"pod with {labels} in {self.namespace}"
        found = wait_until(lambda: self._first(labels), what, timeout_s)
        return ErrandPod(self.place, found)

    def _first(self, labels: dict[str, str]) -> Json | None:
        """The newest that is not being deleted."""
        selector = ",".join(f"{name}%3D{value}" for name, value in labels.items())
        found = self.api.get(f"{self._pods}?labelSelector={selector}")["items"]
        live = [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]
        return max(live, key=lambda pod: pod["metadata"]["creationTimestamp"], default=None)

    def pods(self, stage: str = "") -> list[Json]:
        """All pods of children that the API server has, in whatever state."""
        selector = f"{LABEL}/stage" + (f"%3D{stage}" if stage else "")
        return list(self.api.get(f"{self._pods}?labelSelector={selector}")["items"])

    def set_gpus(self, count: int) -> None:
        """What a device plugin tells: that many GPUs are there."""
        amount = {GPU: str(count), "cpu": "8", "memory": "32Gi", "pods": "110"}
        status = {"capacity": amount, "allocatable": amount, "conditions": [condition("Ready")]}
        self.api.patch(f"/api/v1/nodes/{self.node}/status", {"status": status})

    def let_go(self) -> None:
        """Hear of deletions again, those of the past included."""
        self.holds_deleted = False

    @property
    def _pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def _join(self) -> None:
        """Register; a pod on a node that does not exist would be collected as an orphan."""
        self.api.post("/api/v1/nodes", {"metadata": {"name": self.node}})
        self.set_gpus(self.gpus)

    # Deleted pods

    def _watch(self) -> None:
        try:
            while not self._stopping.wait(0.1):
                self._tend()
        except Exception as error:  # noqa: BLE001 - told at the end, in the test's own thread
            self._errors.append(error)

    def _tend(self) -> None:
        """What the node does again and again."""
        if not self.holds_deleted:
            self._end_deleted()

    def _end_deleted(self) -> None:
        path = f"{self._pods}?fieldSelector=spec.nodeName%3D{self.node}&resourceVersion=0"
        for seen in self.api.get(path)["items"]:
            if seen["metadata"].get("deletionTimestamp"):
                is_errand = ERRAND in seen["metadata"]["labels"]
                pod = (ErrandPod if is_errand else Pod)(self.place, seen)
                ignoring_absence(lambda pod=pod, seen=seen: self._end(pod, seen["status"]))

    def _end(self, pod: Pod, status: Json) -> None:
        """SIGTERM to what runs, its end into the status, then the pod's object goes."""
        if status.get("phase") not in {"Succeeded", "Failed"}:
            pod.ended(self._last_of(pod, status))
        precondition = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod.uid}}
        self.api.delete(pod.path, precondition)

    def _last_of(self, pod: Pod, status: Json) -> Last:
        if status.get("phase") != "Running":
            return Last(KILLED, reason="ContainerStatusUnknown")
        word = pod.word(failure=FailureClass.INTERRUPTED, message="told to stop")
        return Last(EXIT_CODES[FailureClass.INTERRUPTED], word)


def ignoring_absence(act: Callable[[], object]) -> None:
    """Somebody else may have removed it first."""
    try:
        act()
    except ApiFailed as error:
        if error.status not in {404, 409}:
            raise
