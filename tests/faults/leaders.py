"""Two leaders: one falls asleep in the middle of its work, and wakes when another leads."""

import asyncio
import time
from collections.abc import Callable
from typing import ClassVar

from faults.fault import AtWrite
from faults.objects import attempt
from faults.proxy import Line, Reply
from faults.requests import Sort

LOOK_S = 0.05
AHEAD_S = 2.0
"""How long the other may take for each write that comes before the sleeper's."""
PATIENCE_S = 60.0


class AsleepBefore(AtWrite):
    """Its write is on the wire while it sleeps, and reaches the server when another leads."""

    replicas: ClassVar[int] = 2

    def __init__(self, number: int, ahead: int = 1) -> None:
        super().__init__(number)
        self._ahead = ahead
        """How many writes of the other come first."""

    async def befall(self, line: Line) -> Reply | None:
        """Late, but forwarded."""
        sleeper = self.replica_of(line)
        sleeper.pause()
        try:
            await self.until_another_leads(line.replica)
            await self._until_it_wrote(line.replica)
            return await line.forward()
        finally:
            sleeper.wake()

    async def until_another_leads(self, sleeper: str) -> None:
        """By its first good write of the Lease since now."""
        asleep_s = time.monotonic()
        others = [one.name for one in self.rig.replicas if one.name != sleeper]
        await until(lambda: any(self.rig.journal.led_since(asleep_s, one) for one in others))

    async def _until_it_wrote(self, sleeper: str) -> None:
        """What the other has to do is done, where it has something to do."""
        began_s = time.monotonic()

        def has_written() -> bool:
            found = self.rig.journal.of(Sort.WRITE, since_s=began_s)
            done = sum(entry.replica != sleeper and entry.is_done for entry in found)
            return done >= self._ahead or time.monotonic() - began_s > AHEAD_S * self._ahead

        await until(has_written)


class AsleepAfter(AsleepBefore):
    """Its write is done; it hears so when another leads."""

    async def befall(self, line: Line) -> Reply | None:
        """In time, with a late answer."""
        sleeper = self.replica_of(line)
        sleeper.pause()
        try:
            reply = await line.forward()
            await self.until_another_leads(line.replica)
            return reply
        finally:
            sleeper.wake()


class SleepsPastCleanup(AsleepBefore):
    """It sleeps between its last look and its create, until that attempt's Job is cleaned up."""

    async def meet(self, line: Line) -> Reply | None:
        """Strike at the last look before the create that is meant."""
        is_next = len(self.rig.journal.of(Sort.WRITE)) == self.number
        if line.request.is_live_look and is_next and self.strike():
            return await self.befall(line)
        return await line.forward()

    async def befall(self, line: Line) -> Reply | None:
        """The answer waits in the sleeper's own socket."""
        self.replica_of(line).pause()
        self.soon(self._wake_late(line))
        return await line.forward()

    async def _wake_late(self, line: Line) -> None:
        try:
            await self.until_another_leads(line.replica)
            await until(self._is_cleaned_up)
        finally:
            self.replica_of(line).wake()

    def _is_cleaned_up(self) -> bool:
        trained = [attempt(c)[2] for c in self.rig.all_children() if attempt(c)[1] == "train"]
        return bool(trained) and min(trained) > 1


async def until(is_true: Callable[[], bool]) -> None:
    """Return when it is so.

    Raises:
        TimeoutError: it never was.
    """
    async with asyncio.timeout(PATIENCE_S):
        while not is_true():  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(LOOK_S)
