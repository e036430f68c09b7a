"""Keys to be looked at, by client-go's rules."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from controller.kube.backoff import doubled
from controller.kube.meter import UNMETERED, Meter

K = TypeVar("K", bound=Hashable)


class ShutDown(Exception):  # noqa: N818 - an end, not an error
    """The queue was shut down and nothing is left in it."""


class Alarm(Protocol):
    """A call in the future."""

    def when(self) -> float:
        """Its time."""
        ...

    def cancel(self) -> None:
        """Not any more."""
        ...


class Clock(Protocol):
    """As much of an event loop as delays need."""

    def time(self) -> float:
        """Now."""
        ...

    def call_at(self, when: float, callback: Callable[[], object]) -> Alarm:
        """Later."""
        ...


class WorkQueue(Generic[K]):
    """One key is never worked on twice at once, and however often it is added, waits once.

    A key that is added while it is being worked on comes back after its ``done``.
    """

    def __init__(
        self,
        *,
        base_s: float = 0.005,
        cap_s: float = 60.0,
        clock: Clock | None = None,
        meter: Meter = UNMETERED,
    ) -> None:
        self._base_s = base_s
        self._cap_s = cap_s
        self._clock = clock
        self._meter = meter
        self._ready: deque[K] = deque()
        self._dirty: set[K] = set()  # to be worked on, now or after ``done``
        self._processing: set[K] = set()
        self._alarms: dict[K, Alarm] = {}
        self._failures: dict[K, int] = {}
        self._wake = asyncio.Event()
        self._is_shut_down = False

    def __len__(self) -> int:
        """How many keys are ready to be taken."""
        return len(self._ready)

    def add(self, key: K) -> None:
        """At once, or after its ``done`` when it is being worked on."""
        if self._is_shut_down or key in self._dirty:
            return
        self._dirty.add(key)
        self._meter.added(key)
        if key not in self._processing:
            self._ready.append(key)
            self._wake.set()

    def add_after(self, key: K, delay_s: float) -> None:
        """Later. Of several times that were asked for, the earliest stands."""
        if delay_s <= 0:
            self.add(key)
            return
        if self._is_shut_down:
            return
        clock = self._clock or asyncio.get_running_loop()
        when = clock.time() + delay_s
        known = self._alarms.get(key)
        if known is not None:
            if known.when() <= when:
                return
            known.cancel()
        self._alarms[key] = clock.call_at(when, lambda: self._ring(key))

    def add_rate_limited(self, key: K, *, at_least_s: float = 0.0) -> None:
        """Later: ``base_s``, doubled with each time since the last ``forget``, up to ``cap_s``.

        ``at_least_s`` is what a server asked for; it makes a pause longer, never shorter.
        """
        self._meter.retried()
        failed = self._failures.get(key, 0)
        self._failures[key] = failed + 1
        self.add_after(key, max(at_least_s, min(doubled(self._base_s, failed), self._cap_s)))

    def forget(self, key: K) -> None:
        """Its failures are over. It stays in the queue if it is there."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """How often it was added rate limited since the last ``forget``."""
        return self._failures.get(key, 0)

    async def get(self) -> K:
        """The next key; its taker owes ``done``. Raises ShutDown."""
        while not self._ready:
            if self._is_shut_down:
                raise ShutDown
            self._wake.clear()
            await self._wake.wait()
        key = self._ready.popleft()
        self._processing.add(key)
        self._dirty.discard(key)
        self._meter.taken(key)
        return key

    def done(self, key: K) -> None:
        """Its taker has finished, well or not."""
        self._processing.discard(key)
        self._meter.done(key)
        if key in self._dirty:
            self._ready.append(key)
            self._wake.set()

    def shut_down(self) -> None:
        """Takes no more; ``get`` gives what is ready and then raises ShutDown."""
        self._is_shut_down = True
        for alarm in self._alarms.values():
            alarm.cancel()
        self._alarms.clear()
        self._wake.set()

    def _ring(self, key: K) -> None:
        del self._alarms[key]
        self.add(key)
