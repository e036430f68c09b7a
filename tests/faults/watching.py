"""What a case does to the operator's watches: freeze one, spoil all, refuse new ones, be away."""

import asyncio
from collections import Counter

WATCHED = ("finetunejobs", "basemodels", "jobs", "pods")


class Gates:
    """Of one case; used in the loop, ``is_away`` set by anyone."""

    def __init__(self) -> None:
        self.is_away = False
        self.refused: Counter[str] = Counter()
        self._refusals = 0
        self._frozen: dict[str, asyncio.Event] = {}
        self._spoiling = asyncio.Event()

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

    def spoil(self) -> None:
        """Every open watch ends with the ERROR event that its version is gone."""
        self._spoiling.set()
        self._spoiling = asyncio.Event()

    async def spoilt(self) -> None:
        """Return when the watches that are open now are spoilt."""
        await self._spoiling.wait()

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
