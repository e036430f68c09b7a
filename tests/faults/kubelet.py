"""A kubelet whose pods do what a script says, whatever happens around them."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cluster.api import ApiFailed, Json
from cluster.pod import Pod
from cluster.pods import Kubelet, ignoring_absence
from faults.history import POD, History
from faults.objects import is_alive, is_going, owner

TRAIN_S, OTHER_S = 0.4, 0.1
"""How long a pod works: long enough that two at once would be seen."""


@dataclass
class Work:
    """One pod that was started."""

    pod: Pod
    due_s: float


@dataclass
class ScriptedKubelet(Kubelet):
    """Runs every pod once. It looks at the history, so it asks the server for nothing."""

    history: History = field(kw_only=True)
    end: Callable[[Pod], bool] = field(kw_only=True)
    """Ends the pod as the script says; False: it goes on for now."""
    met: Callable[[Pod], None] = field(kw_only=True)
    """Called once about each pod that runs, before it may end."""
    _works: dict[str, Work] = field(default_factory=dict, repr=False)
    _ended: set[str] = field(default_factory=set, repr=False)
    _removed: set[str] = field(default_factory=set, repr=False)

    @property
    def errors(self) -> list[BaseException]:
        """What has ended it."""
        return self._errors

    def _tend(self) -> None:
        for seen in self.history.now(POD):
            if owner(seen):
                with contextlib.suppress(OSError):  # the server is away; it is there again soon
                    self._patiently(seen)

    def _patiently(self, seen: Json) -> None:
        try:
            ignoring_absence(lambda: self._tend_to(seen))
        except ApiFailed as error:
            if error.status < 500:
                raise

    def _tend_to(self, seen: Json) -> None:
        uid = seen["metadata"]["uid"]
        if uid in self._removed or not self.history.has(POD, uid):
            return
        if is_going(seen):
            self._end_as_told(seen)
        elif uid not in self._works and is_alive(seen):
            self._begin(Pod(self.place, seen))
        elif uid in self._works and uid not in self._ended and self._is_due(uid):
            self._finish(self._works[uid].pod)

    def _is_due(self, uid: str) -> bool:
        return self._works[uid].due_s <= time.monotonic()

    def _begin(self, pod: Pod) -> None:
        pod.running()
        lasts_s = TRAIN_S if pod.stage == "train" else OTHER_S
        self._works[pod.uid] = Work(pod, time.monotonic() + lasts_s)
        self.met(pod)

    def _finish(self, pod: Pod) -> None:
        if self.end(pod):
            self._ended.add(pod.uid)

    def _end_as_told(self, seen: Json) -> None:
        """The history may not show yet that it has ended by itself."""
        uid = seen["metadata"]["uid"]
        self._end(
            Pod(self.place, seen), {"phase": "Failed"} if uid in self._ended else seen["status"]
        )
        self._removed.add(uid)
