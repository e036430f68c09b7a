"""A reflector on a scripted server, and what it told."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unit.kube.scripted import Answer, Scripted, Unhurried, a_client, a_watch

from controller.kube.objects import KubeObject
from controller.kube.reflector import Reflector
from controller.kube.resources import PODS

PATH = "/api/v1/pods"
WATCH = {"watch": "true", "allowWatchBookmarks": "true"}


class Thing(KubeObject):
    """What is watched here."""

    size: int = 0


class Play:
    """A reflector on a scripted server, and what it told."""

    def __init__(self, server: Scripted, **more: Any) -> None:
        self.server = server
        self.told: list[tuple[str, str]] = []
        self.backoff = Unhurried()
        self._more = more

    def lists(self, answer: Answer, **query: str) -> None:
        self.server.expect("GET", PATH, answer, {"limit": "500", **query})

    def looks_at_version(self, answer: Answer) -> None:
        self.server.expect("GET", PATH, answer, {"limit": "1"})

    def watches(self, answer: Answer, since: str = "10") -> None:
        self.server.expect("GET", PATH, answer, {**WATCH, "resourceVersion": since})

    def ends_watching(self, since: str) -> None:
        """The last watch: it stays open."""
        self.watches(a_watch(then="hang"), since)

    async def run(self, folder: Path) -> Reflector[Thing]:
        client = await a_client(folder, self.server.url)
        reflector = Reflector(
            client,
            PODS,
            Thing,
            on_change=self._changed,
            backoff=lambda: self.backoff,
            **self._more,
        )
        running = asyncio.create_task(reflector.run())
        await self.server.played()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await client.close()
        return reflector

    def _changed(self, old: Thing | None, new: Thing | None) -> None:
        what = "added" if old is None else "gone" if new is None else "changed"
        thing = new or old
        assert thing is not None
        self.told.append((what, thing.metadata.name))


def play(
    folder: Path, script: Callable[[Play], None], **more: Any
) -> tuple[Play, Reflector[Thing]]:
    async def scenario() -> tuple[Play, Reflector[Thing]]:
        async with Scripted() as server:
            part = Play(server, **more)
            script(part)
            return part, await part.run(folder)

    return asyncio.run(scenario())


def names(reflector: Reflector[Thing]) -> list[str]:
    return sorted(thing.metadata.name for thing in reflector.store.all())
