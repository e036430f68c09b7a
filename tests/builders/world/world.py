"""The whole of it: two processes, a server, Kubernetes, and a person with kubectl."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from builders.fake_api import Json
from builders.jobs import SPEC
from builders.world.api import WorldApi
from builders.world.laws import Laws
from builders.world.nature import Nature
from builders.world.process import KINDS, Crash, Process

from controller.core.naming import child_name
from controller.kube.errors import ApiError, TransportError
from controller.kube.resources import JOBS
from controller.shell.kinds import FINETUNEJOBS
from controller.shell.metrics import Metrics
from trainer.contract.request import Stage

ENOUGH = 600
UNDISTURBED = {"Succeeded": "True/Promote", "Finished": "True/Promote", "Trained": "True/Trained",
               "DataValid": "True/DataValid", "Evaluated": "True/Promote",
               "Promoted": "False/Promote"}  # fmt: skip
"""The conditions at the end of a run that nobody disturbed; its stages tell of no pointer."""


def once_at(number: int, act: Callable[[str], None]) -> Callable[[str], None]:
    """Called at the n-th request, and never again.

    Who lets another process act must not do so between the live look at the object and the create:
    a lease that is looked at there, and the fence in the output, are for that.
    """
    left = [number]

    def hook(request: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            act(request)

    return hook


class World:
    """Moved by whoever tests; time passes only when it is told to."""

    def __init__(self) -> None:
        self.api = WorldApi()
        self.nature = Nature(self.api)
        self.laws = Laws(self.api, self.nature)
        self.recreated = 0
        self.create({"retry": {"maxAttempts": 100}})
        metrics = Metrics()
        self.processes = [Process(self.api, metrics), Process(self.api, metrics)]

    # The person

    @property
    def object(self) -> Json | None:
        return self.api.find(FINETUNEJOBS, "intents")

    @property
    def status(self) -> Json:
        return (self.object or {}).get("status", {})

    def create(self, spec: Json) -> None:
        self.recreated += 1
        uid = f"uid-of-{self.recreated}"
        meta = {"name": "intents", "namespace": "ml", "uid": uid, "generation": 1}
        status = {"observedGeneration": -1}
        document = {"metadata": meta, "spec": {**SPEC, **spec}, "status": status}
        self.api.put(FINETUNEJOBS, document)

    def edit(self, spec: Json) -> None:
        known = self.object
        if known is None or known["spec"] == {**known["spec"], **spec}:
            return
        meta = {**known["metadata"], "generation": known["metadata"]["generation"] + 1}
        self._put({**known, "metadata": meta, "spec": {**known["spec"], **spec}})

    def annotate(self, **annotations: str) -> None:
        if (known := self.object) is not None:
            ours = {f"tunekeeper.dev/{name}": value for name, value in annotations.items()}
            self._put({**known, "metadata": {**known["metadata"], "annotations": ours}})

    def wipe_status(self) -> None:
        if (known := self.object) is not None:
            self._put({**known, "status": {"observedGeneration": -1}})

    def delete(self) -> None:
        if (known := self.object) is not None:
            self.api.remove(FINETUNEJOBS, known)

    def occupy_next_name(self) -> None:
        """Somebody else's Job takes the name of the next run's first child."""
        known, run = self.object, self.status.get("run") or {}
        if known is None or self.laws.foreign:
            return
        uid, number = known["metadata"]["uid"], run.get("number", 0) + 1
        name = child_name("intents", uid, run=number, stage=Stage.PREPARE, attempt=1)
        if self.api.find(JOBS, name) is None:
            made = self.api.put(JOBS, {"metadata": {"name": name, "namespace": "ml"}})
            self.laws.foreign[name] = made

    def free_names(self) -> None:
        for made in self.laws.foreign.values():
            self.api.remove(JOBS, made)
        self.laws.foreign.clear()

    def _put(self, document: Json) -> None:
        self.api.put(FINETUNEJOBS, document)

    # What goes wrong

    def reconcile(self, index: int, trouble: str = "", at: int = 1, act: Any = None) -> None:
        """One process looks at the key; something happens at its n-th request."""
        troubles: dict[str, tuple[str, Any]] = {
            "crash before": ("before", raising(Crash())),
            "crash after": ("after", raising(Crash())),
            "lost before": ("before", raising(TransportError("no answer"))),
            "lost after": ("after", raising(TransportError("no answer"))),
            "error": ("before", raising(ApiError(500, "InternalError", "no"))),
            "before": ("before", act),
            "after": ("after", act),
        }
        if trouble:
            when, what = troubles[trouble]
            setattr(self.api, when, once_at(at, what))
        self.processes[index].reconcile()
        self.api.before = self.api.after = lambda _: None

    # The end

    def pass_time(self, seconds: float) -> None:
        self.api.now += timedelta(seconds=seconds)

    def heal(self) -> None:
        """No more faults."""
        self.api.is_away = False
        self.free_names()
        if self.object is None:
            self.create({})
        self.edit({"suspend": False, "quantization": "None"})

    def come_to_rest(self) -> None:
        """Events come, pods do their work, keys are looked at, until nothing moves any more."""
        for _ in range(ENOUGH):
            if not self.moves():
                coming = [p.due for p in self.processes if p.due is not None]
                if not coming:
                    return
                self.api.now = max(self.api.now, min(coming))
            self.laws.at_rest()
        raise AssertionError(f"I6: it does not come to rest: {self.api.requests[-12:]}")

    def moves(self) -> bool:
        """One thing that happens by itself, when all goes well."""
        return self._hears() or self._works() or self.nature.moves() or self._succeeds()

    def _hears(self) -> bool:
        behind = [(p, kind) for p in self.processes for kind in KINDS if p.behind(kind)]
        for process, kind in behind:
            process.deliver(kind)
        return bool(behind)

    def _works(self) -> bool:
        due = [p for p in self.processes if p.due is not None and p.due <= self.api.now]
        for process in due:
            process.reconcile()
        return bool(due)

    def _succeeds(self) -> bool:
        for pod in self.nature.live_pods():
            self.nature.end(pod, None, step=9)
            return True
        return False

    def said(self) -> dict[str, str]:
        """Its conditions, in short."""
        conditions = self.status.get("conditions", [])
        return {c["type"]: f"{c['status']}/{c['reason']}" for c in conditions}


def raising(error: Exception) -> Callable[[str], None]:
    def act(_: str) -> None:
        raise error

    return act
