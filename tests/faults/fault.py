"""What a fault is: it meets requests in the proxy and points of the life in the script."""

import asyncio
import threading
from collections.abc import Coroutine, Iterable
from typing import ClassVar

from faults.invariants import Violation
from faults.proxy import Line, Reply
from faults.replica import Replica
from faults.requests import Sort
from faults.rig import Rig


class Fault:
    """Nothing happens. Subclasses do less well.

    ``meet`` runs in the proxy's loop and never blocks; ``at_point`` runs in a thread that may.
    """

    replicas: ClassVar[int] = 1
    allows: ClassVar[frozenset[str]] = frozenset()
    """How the end may differ; see ``allowances``."""

    changes_crds: ClassVar[bool] = False

    def __init__(self) -> None:
        self._struck = threading.Event()
        self._over = threading.Event()
        self._over.set()

    @property
    def has_struck(self) -> bool:
        """Whether it happened; one that never does proves nothing."""
        return self._struck.is_set()

    def strike(self) -> bool:
        """It happens now; False: it has already."""
        was_struck = self._struck.is_set()
        self._struck.set()
        return not was_struck

    @property
    def is_over(self) -> bool:
        """Whether nothing more of it is to come."""
        return self.has_struck and self._over.is_set()

    async def meet(self, line: Line) -> Reply | None:
        """Let it pass."""
        return await line.forward()

    def attach(self, rig: Rig) -> None:
        """Before the operator starts."""
        self.rig = rig

    def at_point(self, rig: Rig, point: str) -> None:
        """The life has come to a point; nothing happens there."""

    def is_due_at(self, point: str) -> bool:
        """Whether something is still to be done there, so that the user waits with the next."""
        del point
        return False

    def judged(self) -> Iterable[Violation]:
        """What only this fault can say is wrong."""
        return ()


class Undisturbed(Fault):
    """For the recorded run."""

    @property
    def has_struck(self) -> bool:
        """There is nothing that could be missed."""
        return True


class AtWrite(Fault):
    """Something happens at one write of the life."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    async def meet(self, line: Line) -> Reply | None:
        """Strike once, at that write."""
        if line.request.sort is Sort.WRITE and self.is_the_one(line) and self.strike():
            return await self.befall(line)
        return await self.otherwise(line)

    def is_the_one(self, line: Line) -> bool:
        """Whether it is the write that is meant."""
        return line.entry.write == self.number

    async def befall(self, line: Line) -> Reply | None:
        """What happens to that write."""
        return await line.forward()

    def soon(self, work: Coroutine[object, object, None]) -> None:
        """Do it beside the request; the fault is over when it is done."""
        self._over.clear()
        self._later = asyncio.ensure_future(work)
        self._later.add_done_callback(lambda _: self._over.set())

    async def otherwise(self, line: Line) -> Reply | None:
        """What happens to every other request."""
        return await line.forward()

    def kill(self, line: Line) -> None:
        """End the replica that sent it."""
        self.replica_of(line).kill()

    def replica_of(self, line: Line) -> Replica:
        """The one that sent it."""
        return next(one for one in self.rig.replicas if one.name == line.replica)
