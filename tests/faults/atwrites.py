"""The five things that can become of a write, and a sixth: the server asks for patience."""

import time

from faults.fault import AtWrite
from faults.proxy import Line, Reply, refusal
from faults.requests import Sort

BURST_S = 0.6
"""Shorter than a leader may go without renewing: the Lease is not what this is about."""


class KillBefore(AtWrite):
    """The process dies with the request on its way; the server never sees it."""

    async def befall(self, line: Line) -> Reply | None:
        """Nothing is forwarded."""
        self.kill(line)
        return None


class KillAfter(AtWrite):
    """The server does it, and the process dies before it hears so."""

    async def befall(self, line: Line) -> Reply | None:
        """Forwarded, the answer thrown away."""
        await line.forward()
        self.kill(line)
        return None


class ReplyLost(AtWrite):
    """The server does it, the connection breaks, the process lives."""

    async def befall(self, line: Line) -> Reply | None:
        """Forwarded, the answer thrown away."""
        await line.forward()
        return None


class Conflict(AtWrite):
    """Somebody seems to have been faster."""

    async def befall(self, line: Line) -> Reply | None:
        """409, as the verb has it."""
        if line.request.method == "POST":
            return refusal(409, "AlreadyExists", "the object already exists")
        return refusal(409, "Conflict", "the object has been modified; please apply your changes")


class Burst(AtWrite):
    """From that write on everything but the Lease is refused for a while."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self._ends_s = 0.0

    async def befall(self, line: Line) -> Reply | None:
        """The first of them."""
        self._ends_s = time.monotonic() + BURST_S
        return await self.otherwise(line)

    async def otherwise(self, line: Line) -> Reply | None:
        """The others too, while it lasts."""
        if line.request.sort is Sort.LEASE or time.monotonic() > self._ends_s:
            return await line.forward()
        return self.refused()

    def refused(self) -> Reply:
        """What the server says."""
        return refusal(500, "InternalError", "etcdserver: request timed out")


class Patience(Burst):
    """The same with 429: the server names a pause."""

    def refused(self) -> Reply:
        """What the server says."""
        return refusal(429, "TooManyRequests", "try again later", retry_after_s=1)
