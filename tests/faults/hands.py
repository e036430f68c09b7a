"""What people do to objects that the operator works on, in every stage."""

import threading
from typing import ClassVar

from cluster.api import Json
from cluster.pods import ignoring_absence
from faults import verdict
from faults.fault import Fault
from faults.history import CHILD, POD
from faults.objects import is_going, labels
from faults.rig import Rig

ENDED, SUSPENDED = "ended", "suspended"


class ByHand(Fault):
    """Something happens once, when the life comes to a point."""

    def __init__(self, point: str) -> None:
        super().__init__()
        self.point = point
        self._acted = threading.Event()

    def is_due_at(self, point: str) -> bool:
        """Until it was done."""
        return point == self.point and not self._acted.is_set()

    def at_point(self, rig: Rig, point: str) -> None:
        """Act when it is the point, and the status says so."""
        if point != self.point or not self.strike():
            return
        if point not in (ENDED, SUSPENDED):
            rig.until(lambda: rig.phase() == "Running", "the status says that it runs")
        self.act(rig)
        self._acted.set()

    def act(self, rig: Rig) -> None:
        """What the person does."""

    def is_meant(self, obj: Json) -> bool:
        """Whether it is of the stage that the point names; where nothing runs all are."""
        return self.point in (ENDED, SUSPENDED) or labels(obj).get("stage") == self.point


class Recreated(ByHand):
    """The object is deleted and made again under its name."""

    allows: ClassVar[frozenset[str]] = frozenset({verdict.GENERATIONS, verdict.ATTEMPTS})

    def act(self, rig: Rig) -> None:
        """``kubectl replace --force``."""
        rig.recreate()


class StatusWiped(ByHand):
    """The status is emptied."""

    allows: ClassVar[frozenset[str]] = frozenset(
        {verdict.RUNS, verdict.ATTEMPTS, verdict.GENERATIONS}
    )

    def act(self, rig: Rig) -> None:
        """``kubectl edit --subresource=status``."""
        rig.wipe_status()


class JobsDeleted(ByHand):
    """Jobs of a stage are deleted; with ``Orphan`` their pods stay."""

    allows: ClassVar[frozenset[str]] = frozenset({verdict.ATTEMPTS, verdict.CHILDREN})

    def __init__(self, point: str, policy: str) -> None:
        super().__init__(point)
        self._policy = policy

    def act(self, rig: Rig) -> None:
        """``kubectl delete job --cascade=...``."""
        for job in filter(self.is_meant, rig.children()):
            rig.removed_by_hand.add(job["metadata"]["uid"])
            path = f"{rig.path(CHILD, job['metadata']['name'])}?propagationPolicy={self._policy}"
            ignoring_absence(lambda path=path: rig.plane.api.delete(path))


class PodsDeleted(ByHand):
    """Pods of a stage are deleted; with ``is_forced`` they are gone without a last word."""

    allows: ClassVar[frozenset[str]] = frozenset({verdict.ATTEMPTS})

    def __init__(self, point: str, *, is_forced: bool) -> None:
        super().__init__(point)
        self._options = {"gracePeriodSeconds": 0} if is_forced else {}

    def act(self, rig: Rig) -> None:
        """``kubectl delete pod``."""
        for pod in filter(self.is_meant, rig.pods()):
            if not is_going(pod):
                path = rig.path(POD, pod["metadata"]["name"])
                ignoring_absence(lambda path=path: rig.plane.api.delete(path, self._options))
