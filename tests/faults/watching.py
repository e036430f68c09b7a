"""What a case does to the operator's watches: freeze one, spoil all, refuse new ones, be away."""

import asyncio
from collections import Counter

WATCHED = ("finetunejobs", "basemodels", "jobs", "pods")


class Gates:
    """Of one case; made and used in the loop."""

    def __init__(self) -> None:
        self.is_away = False
        self.refused: Counter[str] = Counter()
        self._refusals = 0
        self._frozen: dict[str, asyncio.Event] = {}
        self._ending: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def freeze(self, resource: str) -> None:
        """Its watch shows nothing new from now on."""
        self._frozen.setdefault(resource, asyncio.Event())

    def thaw(self, resource: str) -> None:
        """It shows all that it has missed."""
        thawed = self._frozen.pop(resource, None)
        if thawed is not None:
            thawed.set()

    async def passable(self, resource: str) -> None:
        """Return when the watch may show more."""
        frozen = self._frozen.get(resource)
        if frozen is not None:
            await frozen.wait()

    def end_watches(self, last_line: bytes = b"") -> None:
        """Every open watch ends, with one more line where one is given."""
        ending, self._ending = self._ending, asyncio.get_running_loop().create_future()
        ending.set_result(last_line)

    def ending(self) -> "asyncio.Future[bytes]":
        """Done, with the last line, when the watches that are open now end."""
        return self._ending

    def refuse_watches(self, times: int) -> None:
        """The next so many watches of each resource are answered 410."""
        self._refusals = times
        self.refused.clear()

    def refuses_watch(self, resource: str) -> bool:
        """Whether this one is."""
        if self.refused[resource] >= self._refusals:
            return False
        self.refused[resource] += 1
        return True
