"""One list and watch: of one namespace, or of all."""

import asyncio
import logging
import math
import random
from collections.abc import Callable
from contextlib import aclosing
from http import HTTPStatus
from typing import Generic

from controller.kube.answers import error_of, read_status
from controller.kube.backoff import Backoff
from controller.kube.client import Client
from controller.kube.documents import (
    Event,
    ObjectReader,
    Page,
    name_of,
    read_event,
    read_page,
)
from controller.kube.errors import ApiError, MalformedError, TransportError
from controller.kube.objects import Key
from controller.kube.resources import Resource
from controller.kube.store import Store, T

log = logging.getLogger(__name__)

PAGE_OBJECTS = 500
LIST_TIMEOUT_S = 30.0
# The server ends a watch by itself after this time, a different one for each, so that a fleet of
# watches does not come back in one moment.
WATCH_S = (240, 300)
# An API server sends a bookmark 60 to 61.25 s after the last one; 10 s more without a byte mean a
# connection that is dead, a kind so quiet that there is nothing to bookmark, or a server that was
# put back to an earlier version: a look at its version and a new watch cost two small requests.
SILENCE_S = 71.0
# client-go's bound: a watch that ends earlier than this was refused in all but name
SHORT_WATCH_S = 1.0
# As long as the longest pause: a watch that lasted so long was a good one
GOOD_WATCH_S = 30.0
# A version that was refused so often with nothing new in between is given up for a new list
MAX_FAILURES = 3

OnChange = Callable[[T | None, T | None], None]
OnAccess = Callable[[str | None, ApiError | None], None]
"""Of a namespace, None for all: it was listed, or the server refused to show it."""


class Scope(Generic[T]):
    """Keeps its part of a store true."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        type_: type[T],
        *,
        namespace: str | None,
        label_selector: str,
        store: Store[T],
        on_change: OnChange[T],
        on_access: OnAccess,
        on_rewind: Callable[[], None],
        backoff: Backoff,
        silence_s: float,
        clock: Callable[[], float],
    ) -> None:
        self.is_synced = asyncio.Event()
        self.is_settled = asyncio.Event()  # listed once, or refused for want of rights
        self.relists = 0
        self._client = client
        self._resource = resource
        self._namespace = namespace
        self._selector = {"labelSelector": label_selector} if label_selector else {}
        self._reader = ObjectReader(type_, resource.plural)
        self._store = store
        self._on_change = on_change
        self._on_access = on_access
        self._on_rewind = on_rewind
        self._backoff = backoff
        self._silence_s = silence_s
        self._clock = clock
        self._version = ""  # empty: a list is due
        self._newest = 0  # version as a number, of all that was ever told
        self._is_doubtful = False  # whether the server has reached the version at all
        self._failures = 0
        self._heard_at = clock()

    def seconds_since_contact(self) -> float:
        """Since the server last said anything but an error."""
        return self._clock() - self._heard_at

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            pause_s = await self._turn()
            await asyncio.sleep(pause_s)

    async def _turn(self) -> float:
        """A list if one is due, and a watch to its end; gives the pause until the next."""
        started = math.inf
        try:
            if not self._version:
                await self._list()
            elif self._is_doubtful:
                await self._check_version()
            self._is_doubtful = False
            started = self._clock()
            await self._watch()
        except (ApiError, TransportError, MalformedError) as error:
            self._settle(started)
            return self._failed(error)
        self._settle(started)
        # closed in good order; at once and over and over, it would spin
        is_short = self._clock() - started < SHORT_WATCH_S
        return self._backoff.next_s() if is_short else 0.0

    def _settle(self, started: float) -> None:
        if self._clock() - started >= GOOD_WATCH_S:
            self._progressed()

    def _failed(self, error: ApiError | TransportError | MalformedError) -> float:
        """Whether to list anew, and when to try again."""
        self._failures += 1
        # a restore of etcd breaks every connection
        self._is_doubtful = self._is_doubtful or isinstance(error, TransportError)
        if not self._version and isinstance(error, ApiError) and error.is_forbidden:
            self._refused(error)
        if self._is_version_spoilt(error):
            self._version = ""
        pause_s = self._backoff.next_s(error)
        # once is everyday life: a server restarts, a version is compacted away
        level = logging.WARNING if self._failures > 1 else logging.INFO
        log.log(level, "%s: %s; again in %.1f s", self._what, error, pause_s)
        return pause_s

    @property
    def _what(self) -> str:
        where = f" in {self._namespace}" if self._namespace is not None else ""
        return f"{self._resource.plural}{where}"

    def _refused(self, error: ApiError) -> None:
        """The others must not wait for one namespace; without all of them there is no going on."""
        self._on_access(self._namespace, error)
        if self._namespace is not None:
            self._heard_at = self._clock()  # a clear word
            self.is_settled.set()

    def _is_version_spoilt(self, error: Exception) -> bool:
        """A server that is away or busy says nothing against a version; a list would be dearer."""
        if isinstance(error, MalformedError):
            return True
        if not isinstance(error, ApiError) or error.status == HTTPStatus.TOO_MANY_REQUESTS:
            return False
        return error.is_gone or self._failures >= MAX_FAILURES

    async def _list(self) -> None:
        """Every page, then the difference to what was known."""
        objects: list[T] = []
        unreadable: set[Key] = set()
        token = ""
        while True:
            page = await self._page(token)
            for raw in page.items or ():
                obj = self._reader.read(raw)
                if obj is not None:
                    objects.append(obj)
                else:
                    named = name_of(raw)
                    unreadable.add((named.namespace, named.name))
            token = page.metadata.continue_token
            if not token:
                break
        self._listed(objects, unreadable, page.metadata.resource_version)

    async def _check_version(self) -> None:
        """One object at most, for the version that the server is at.

        A watch from a version that lies in the server's future, as after a restore of etcd from a
        backup, is opened and then silent: no event, no bookmark, no end.

        Raises:
            MalformedError: the server is behind what is known.
        """
        page = await self._page("", limit=1)
        there = number_of(page.metadata.resource_version)
        if 0 < there < self._newest:
            raise MalformedError(f"the server is at {there}, and {self._newest} was seen")

    async def _page(self, token: str, limit: int = PAGE_OBJECTS) -> Page:
        query = {**self._selector, "limit": str(limit)}
        if token:
            query["continue"] = token
        path = self._resource.path(self._namespace)
        body = await self._client.request("GET", path, query=query, timeout_s=LIST_TIMEOUT_S)
        self._heard_at = self._clock()
        return read_page(body)

    def _listed(self, objects: list[T], unreadable: set[Key], version: str) -> None:
        """What is not in the list is gone, but for what is there and cannot be read any more."""
        if not version:
            raise MalformedError("a list without a resourceVersion")
        is_rewound = self._newest > number_of(version)
        if is_rewound:
            self._rewound(version)
        self._version, self._newest = version, number_of(version)
        self._failures = 0
        self.relists += 1
        there = set(unreadable)
        for obj in objects:
            there.add(self._put(obj, is_news=is_rewound))
        for key in self._store.keys(self._namespace):
            if key not in there:
                self._remove(key)
        self.is_synced.set()
        self.is_settled.set()
        self._on_access(self._namespace, None)

    def _rewound(self, version: str) -> None:
        log.warning(
            "%s: the resourceVersion went back from %d to %s: was etcd restored from a backup?",
            self._what,
            self._newest,
            version,
        )
        self._on_rewind()

    async def _watch(self) -> None:
        lasting_s = random.randint(*WATCH_S)  # noqa: S311 - spreads load, hides nothing
        query = {
            **self._selector,
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(lasting_s),
        }
        events = self._client.watch(
            self._resource, self._namespace, query=query, silence_s=self._silence_s
        )
        async with aclosing(events):
            async for line in events:
                self._heard_at = self._clock()
                if line:
                    self._take(read_event(line))

    def _take(self, event: Event) -> None:
        if event.type == "ERROR":
            status = read_status(bytes(event.object))
            if status is None:
                raise MalformedError("an ERROR event without a Status")
            raise error_of(status, request=f"watch of {self._resource.plural}")
        named = name_of(event.object)
        self._check_order(named.resource_version)
        self._apply(event, (named.namespace, named.name))
        if named.resource_version and named.resource_version != self._version:
            self._version = named.resource_version
            self._progressed()

    def _check_order(self, version: str) -> None:
        """A watch tells in order; what is lower was told by a store that was put back.

        Raises:
            MalformedError: only a list can say what there is now.
        """
        number = number_of(version)
        if 0 < number < self._newest:
            raise MalformedError(f"resourceVersion {version} came after {self._newest}")
        self._newest = max(self._newest, number)

    def _apply(self, event: Event, key: Key) -> None:
        if event.type == "DELETED":
            self._remove(key)
        elif event.type in {"ADDED", "MODIFIED"}:
            obj = self._reader.read(event.object)
            if obj is not None:
                self._put(obj)

    def _progressed(self) -> None:
        self._failures = 0
        self._backoff.reset()

    def _put(self, obj: T, *, is_news: bool = False) -> Key:
        key = (obj.metadata.namespace, obj.metadata.name)
        old = self._store.put(obj)
        version = obj.metadata.resource_version
        if is_news or old is None or not version or old.metadata.resource_version != version:
            self._on_change(old, obj)
        return key

    def _remove(self, key: Key) -> None:
        old = self._store.remove(key)
        if old is not None:
            self._on_change(old, None)


def number_of(version: str) -> int:
    """A resourceVersion as the number that it is; 0 where it is none."""
    return int(version) if version.isascii() and version.isdigit() else 0
