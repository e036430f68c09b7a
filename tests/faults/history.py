"""The complete history of a namespace, by watches of its own: no proxy, no code of the operator.

Resource versions are revisions of one store, so changes of different kinds have one order.
"""

import asyncio
import contextlib
import json
import ssl
import threading
import time
from dataclasses import dataclass

import aiohttp
from cluster.api import Json
from cluster.plane import ControlPlane

JOB, CHILD, POD = "FineTuneJob", "Job", "Pod"
ROOTS = {
    JOB: ("/apis/tunekeeper.dev/v1alpha1", "finetunejobs"),
    CHILD: ("/apis/batch/v1", "jobs"),
    POD: ("/api/v1", "pods"),
}
AGAIN_S = 0.2
GONE = 410


class HistoryBrokenError(Exception):
    """The history has a hole, so nothing can be said about the case."""


@dataclass(frozen=True)
class Change:
    """One version of one object."""

    revision: int
    at_s: float
    kind: str
    type: str
    """ADDED, MODIFIED or DELETED."""
    obj: Json

    @property
    def uid(self) -> str:
        """Of the object."""
        return str(self.obj["metadata"]["uid"])


class History:
    """Of one namespace; ``follow`` runs in the loop, the rest is for any thread."""

    def __init__(self, plane: ControlPlane, namespace: str, *, may_relist: bool = False) -> None:
        self._plane = plane
        self._namespace = namespace
        self._changes: list[Change] = []
        self._now: dict[str, dict[str, Json]] = {kind: {} for kind in ROOTS}
        self._lock = threading.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._may_relist = may_relist
        """An API server forgets the versions of a kind whose CRD has changed."""
        self._broken = ""

    async def start(self) -> None:
        """Nothing that is made after this is missed."""
        api = self._plane.api
        tls = ssl.create_default_context(cafile=api.ca_file)
        self._session = aiohttp.ClientSession(
            base_url=self._plane.url,
            headers={"Authorization": f"Bearer {api.token}"},
            connector=aiohttp.TCPConnector(ssl=tls, limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_read=90),
            read_bufsize=1 << 20,
        )
        versions = {kind: await self._begun(kind) for kind in ROOTS}
        self._tasks = [
            asyncio.create_task(self._follow(kind, version)) for kind, version in versions.items()
        ]

    async def stop(self) -> None:
        """End the watches."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    def ordered(self) -> list[Change]:
        """Everything that happened, as the store had it.

        Raises:
            HistoryBrokenError: something may be missing.
        """
        if self._broken:
            raise HistoryBrokenError(self._broken)
        return sorted(self.changes(), key=lambda change: change.revision)

    def changes(self) -> list[Change]:
        """What is known so far, as it came."""
        with self._lock:
            return list(self._changes)

    def now(self, kind: str) -> list[Json]:
        """The objects that are there, oldest first."""
        with self._lock:
            return list(self._now[kind].values())

    def has(self, kind: str, uid: str) -> bool:
        """Whether the object is there."""
        with self._lock:
            return uid in self._now[kind]

    def has_caught_up(self) -> bool:
        """Whether it shows what a live list shows.

        Raises:
            HistoryBrokenError: it never will.
        """
        if self._broken:
            raise HistoryBrokenError(self._broken)
        return all(self._shows(kind) for kind in ROOTS)

    def _shows(self, kind: str) -> bool:
        live = {versioned(obj) for obj in self._plane.api.get(self.path(kind))["items"]}
        return live == {versioned(obj) for obj in self.now(kind)}

    def path(self, kind: str) -> str:
        """Of the kind in this namespace."""
        root, plural = ROOTS[kind]
        return f"{root}/namespaces/{self._namespace}/{plural}"

    async def _begun(self, kind: str) -> str:
        """The first list; a server that has just got other CRDs is not ready for a moment."""
        while True:
            with contextlib.suppress(aiohttp.ClientResponseError):
                return await self._listed(kind)
            await asyncio.sleep(AGAIN_S)

    async def _listed(self, kind: str) -> str:
        """Take what is there; what is not known to have changed is not told again."""
        async with self._session.get(self.path(kind), raise_for_status=True) as answer:
            found = await answer.json()
        version = str(found["metadata"]["resourceVersion"])
        gone = {obj["metadata"]["uid"]: obj for obj in self.now(kind)}
        for obj in found["items"]:
            known = gone.pop(obj["metadata"]["uid"], None)
            if known is None or versioned(known) != versioned(obj):
                self._put(kind, "MODIFIED" if known else "ADDED", obj)
        for obj in gone.values():
            meta = {**obj["metadata"], "resourceVersion": version}
            self._put(kind, "DELETED", {**obj, "metadata": meta})
        return version

    async def _follow(self, kind: str, version: str) -> None:
        """Again from where it was when the connection ends."""
        while not self._broken:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                version = await self._watch(kind, version) if version else await self._listed(kind)
            await asyncio.sleep(AGAIN_S)

    async def _watch(self, kind: str, version: str) -> str:
        """The version that was seen last; empty: a list is due."""
        asked = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true"}
        async with self._session.get(self.path(kind), params=asked) as answer:
            if answer.status == GONE:
                return self._lost(f"the watch of {kind} from {version} was refused")
            async for line in answer.content if answer.ok else _nothing():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return self._lost(f"the watch of {kind}: {event['object']}")
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._put(kind, event["type"], event["object"])
        return version

    def _lost(self, why: str) -> str:
        """Versions were missed: a list shows what became of it, if that is enough."""
        if not self._may_relist:
            self._broken = why
        return ""

    def _put(self, kind: str, type_: str, obj: Json) -> None:
        meta = obj["metadata"]
        change = Change(int(meta["resourceVersion"]), time.monotonic(), kind, type_, obj)
        with self._lock:
            self._changes.append(change)
            if type_ == "DELETED":
                self._now[kind].pop(meta["uid"], None)
            else:
                self._now[kind][meta["uid"]] = obj


async def _nothing():
    """No lines."""
    for line in ():
        yield line


def versioned(obj: Json) -> tuple[str, str]:
    """What tells two versions apart."""
    return obj["metadata"]["uid"], obj["metadata"]["resourceVersion"]
