"""What befalls the whole control plane: its store restarts, and the operator is upgraded."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar

from faults.fault import AtWrite, Fault
from faults.ground import apply_crds
from faults.hands import ByHand
from faults.nextrelease import FIELD, VALUE, made_release
from faults.proxy import Line, Reply
from faults.replica import Replica
from faults.rig import Rig

OVERLAP_S = 3.0
"""How long the old operator works with the new CRDs before it is replaced."""


class EtcdRestart(AtWrite):
    """The store dies with a write on its way, and comes back."""

    async def befall(self, line: Line) -> Reply | None:
        """The write goes to a server whose store is away."""
        self.soon(asyncio.to_thread(self.rig.plane.restart_etcd))
        return await line.forward()


class Upgraded(ByHand):
    """New CRDs are applied and the operator of that release is started."""

    changes_crds: ClassVar[bool] = True

    def __init__(self, point: str, overlap_s: float) -> None:
        super().__init__(point)
        self._overlap_s = overlap_s

    def act(self, rig: Rig) -> None:
        """``kubectl apply``, then the Deployment's new pod."""
        (replica,) = rig.replicas
        release = made_release(rig.plane.folder)
        if not self._overlap_s:
            replica.pause()
        apply_crds(rig.plane, release)
        rig.until(lambda: has_field(rig), "the new field has its default")
        self._over.clear()
        threading.Timer(self._overlap_s, self._replace, (replica, release)).start()

    def _replace(self, replica: Replica, release: Path) -> None:
        """The old pod goes, the new one comes."""
        replica.code = release
        replica.kill()
        self._over.set()


class UpgradedLate(Upgraded):
    """The old operator meets the new CRDs: it refuses what it cannot read, until it is replaced."""


def has_field(rig: Rig) -> bool:
    """Whether the API server gives the object the default of the new field."""
    spec = rig.plane.api.get(rig.path())["spec"]
    return bool(spec.get("lora", {}).get(FIELD) == VALUE)


UPGRADES: Mapping[str, Callable[[str], Fault]] = {
    "upgraded": partial(Upgraded, overlap_s=0.0),
    "upgraded-late": partial(UpgradedLate, overlap_s=OVERLAP_S),
}
