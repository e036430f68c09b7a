"""What can become of the watches: their version is gone, one shows nothing, everything is away."""

import asyncio
import math
import time
from collections.abc import Iterator

from faults.fault import AtWrite
from faults.invariants import Violation
from faults.proxy import GONE_EVENT, Line, Reply
from faults.requests import Sort
from faults.rig import LEASE
from faults.watching import WATCHED

REFUSALS = 2
"""How often a watch is refused in a row: more only takes longer, the pauses double."""
BACKOFF_S = 0.8


class GoneByEvent(AtWrite):
    """Every open watch ends with an ERROR event: 410."""

    async def befall(self, line: Line) -> Reply | None:
        """The write itself is well."""
        self.rig.gates.end_watches(GONE_EVENT)
        return await line.forward()


class GoneByStatus(AtWrite):
    """Every watch ends, and the next ones are answered 410."""

    async def befall(self, line: Line) -> Reply | None:
        """The write itself is well."""
        self.rig.gates.refuse_watches(REFUSALS)
        self.rig.gates.end_watches()
        return await line.forward()


class Stale(AtWrite):
    """From that write on one watch shows nothing new, for as long as the knobs say."""

    def __init__(self, number: int, resource: str) -> None:
        super().__init__(number)
        self._resource = resource

    async def befall(self, line: Line) -> Reply | None:
        """The write itself is well."""
        self.rig.gates.freeze(self._resource)
        self.soon(self._thaw())
        return await line.forward()

    async def _thaw(self) -> None:
        await asyncio.sleep(self.rig.knobs.stale_s)
        self.rig.gates.thaw(self._resource)


class Away(AtWrite):
    """From that write on nobody answers at all, for as long as the knobs say."""

    async def befall(self, _line: Line) -> Reply | None:
        """The first request that is not answered."""
        self._began_s = time.monotonic()
        self._ended_s = math.inf
        self.rig.gates.is_away = True
        self.rig.gates.end_watches()
        self.soon(self._return())
        return None

    async def _return(self) -> None:
        await asyncio.sleep(self.rig.knobs.away_s)
        self.rig.gates.is_away = False
        self._ended_s = time.monotonic()

    def judged(self) -> Iterator[Violation]:
        """I7: bounded requests while it is away, whatever ends and starts again meanwhile."""
        limits = {
            "of the Lease": (self._asked(Sort.LEASE), self.lease_limit()),
            "of all else": (self._asked(*OF_ALL_ELSE), self.other_limit()),
        }
        for what, (asked, limit) in limits.items():
            if asked > limit:
                yield Violation("I7 bounded", f"{asked} requests {what}; {limit} are enough")

    def lease_limit(self) -> int:
        """A candidate tries again after once to twice the retry period."""
        return 5 + int(self.rig.knobs.away_s / LEASE["lease_retry_s"])

    def other_limit(self) -> int:
        """Each watch tries after pauses that double, in the process that ends and in the next.

        The ten are for what was under way; and where a connection was open, each watch of either
        process has its request sent twice, by the HTTP client itself.
        """
        doublings = 1 + math.log2(1 + self.rig.knobs.away_s / BACKOFF_S)
        return 10 + int(2 * len(WATCHED) * (1 + doublings))

    def _asked(self, *sorts: Sort) -> int:
        found = self.rig.journal.of(*sorts, since_s=self._began_s)
        return sum(entry.at_s < self._ended_s for entry in found)


OF_ALL_ELSE = tuple(sort for sort in Sort if sort is not Sort.LEASE)
