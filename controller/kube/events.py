"""Tells what happened, as Events (events.k8s.io/v1). Best effort: nothing waits for it."""

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import msgspec

from controller.kube.backoff import Backoff
from controller.kube.client import MERGE_PATCH, Client
from controller.kube.clock import utc_now
from controller.kube.errors import ApiError, KubeError, TransportError
from controller.kube.eventdocuments import Happening, Regarding, event_of, namespace_of, series_of
from controller.kube.pace import Pace
from controller.kube.resources import EVENTS

__all__ = ["EventRecorder", "Regarding"]

log = logging.getLogger(__name__)

# client-go's time: what repeats within it is one series, and kubectl shows one line
SERIES_S = 360.0
MAX_WAITING = 1000
MAX_TRIES = 4
# What a thousand objects tell in one moment must not keep the server from the writes that they
# wait for: 25 at once, as client-go allows for one object, then ten a second
BURST = 25
PER_S = 10.0
HTTP_SERVER_ERROR = 500
HTTP_TOO_MANY_REQUESTS = 429


@dataclass
class _Series:
    """What was recorded of one happening, and what of it the server knows."""

    happening: Happening
    name: str
    first: datetime
    last: datetime
    heard_at: float
    count: int = 1
    is_written: bool = field(default=False)


class EventRecorder:
    """Writes events in the background, a few a second; repeats in six minutes become one series.

    What cannot be written is dropped and counted in ``dropped``: when too many wait, the oldest.
    """

    def __init__(
        self,
        client: Client,
        *,
        controller: str,
        instance: str,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
        backoff: Callable[[], Backoff] = Backoff,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self.dropped = 0
        """Events that were never written."""
        self._client = client
        self._controller = controller
        self._instance = instance
        self._clock = clock
        self._now = now
        self._backoff = backoff
        self._max_waiting = max_waiting
        self._pace = Pace(burst=BURST, per_s=PER_S, clock=clock)
        self._hurry = asyncio.Event()
        self._series: OrderedDict[Happening, _Series] = OrderedDict()  # oldest first
        self._waiting: OrderedDict[Happening, _Series] = OrderedDict()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def record(
        self,
        regarding: Regarding,
        *,
        type: Literal["Normal", "Warning"],  # noqa: A002 - the field's name
        reason: str,
        message: str,
        action: str,
    ) -> None:
        """Has an event written soon. A message of more than 1024 bytes is cut."""
        happening = Happening(regarding, type, reason, message, action)
        self._forget_old()
        series = self._series.pop(happening, None)
        if series is None:
            series = self._begin(happening)
        else:
            series.count += 1
            series.last = self._now()
            series.heard_at = self._clock()
        self._series[happening] = series
        self._enqueue(series)

    async def run(self) -> None:
        """Writes until cancelled. What is still waiting then is not written: ``flush`` before."""
        while True:
            while self._waiting:
                await self._keep_pace()
                _, series = self._waiting.popitem(last=False)
                await self._write(series)
            self._idle.set()
            self._wake.clear()
            await self._wake.wait()

    async def flush(self) -> None:
        """Returns when everything recorded so far was written or given up, while ``run`` runs.

        From now on nothing is put off: it is the end of a process.
        """
        self._hurry.set()
        await self._idle.wait()

    async def _keep_pace(self) -> None:
        pause_s = self._pace.next_s()
        if pause_s > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._hurry.wait()

    def _begin(self, happening: Happening) -> _Series:
        now = self._now()
        # a random end: names of one second and one object must differ
        name = f"{happening.regarding.name[:200].rstrip('.-')}.{secrets.token_hex(8)}"
        return _Series(happening, name, now, now, self._clock())

    def _enqueue(self, series: _Series) -> None:
        if series.happening not in self._waiting and len(self._waiting) >= self._max_waiting:
            self._waiting.popitem(last=False)
            self.dropped += 1
        # one that waits already takes the new count along
        self._waiting.setdefault(series.happening, series)
        self._idle.clear()
        self._wake.set()

    def _forget_old(self) -> None:
        while self._series:
            oldest = next(iter(self._series.values()))
            is_old = self._clock() - oldest.heard_at > SERIES_S
            if not is_old and len(self._series) < 2 * self._max_waiting:
                return
            self._series.popitem(last=False)

    async def _write(self, series: _Series) -> None:
        backoff = self._backoff()
        for left in reversed(range(MAX_TRIES)):
            try:
                await self._send(series)
            except KubeError as error:
                if not left or not _may_heal(error):
                    self.dropped += 1
                    about = series.happening.regarding
                    of = (about.kind, f"{about.namespace}/{about.name}")
                    reason = series.happening.reason
                    log.warning("event %s was not written: %s", reason, error, extra={"of": of})
                    return
                await asyncio.sleep(backoff.next_s(error))
            else:
                return

    async def _send(self, series: _Series) -> None:
        if series.is_written:
            try:
                await self._patch(series)
            except ApiError as error:
                if not error.is_not_found:
                    raise
                series.is_written = False  # the server keeps events for an hour only
            else:
                return
        await self._create(series)

    async def _create(self, series: _Series) -> None:
        document = event_of(
            series.happening,
            series.name,
            controller=self._controller,
            instance=self._instance,
            first=series.first,
            last=series.last,
            count=series.count,
        )
        try:
            await self._client.create(
                EVENTS, namespace_of(series.happening.regarding), msgspec.json.encode(document)
            )
        except ApiError as error:
            if not error.is_already_exists:  # by a try whose answer was lost
                raise
        series.is_written = True

    async def _patch(self, series: _Series) -> None:
        path = EVENTS.path(namespace_of(series.happening.regarding), series.name)
        body = msgspec.json.encode({"series": series_of(series.count, series.last)})
        await self._client.request("PATCH", path, body=body, content_type=MERGE_PATCH)


def _may_heal(error: KubeError) -> bool:
    if isinstance(error, ApiError):
        return error.status >= HTTP_SERVER_ERROR or error.status == HTTP_TOO_MANY_REQUESTS
    return isinstance(error, TransportError)
