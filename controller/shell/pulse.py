"""Whether the event loop turns: measured by a task in it, watched by a thread beside it.

Everything waits for a loop that stands still: reconciles, watches, the renewal of the Lease. The
Lease is safe without this, as every create and delete asks the clock whether it is still held; this
is so that a person sees what stood in the way, and that a process that stays so is started again.
"""

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from prometheus_client import CollectorRegistry, Counter, Histogram

log = logging.getLogger(__name__)

PERIOD_S = 1.0
NOTABLE_S = 1.0
"""What is later than this counts as time in which the loop stood still."""
WINDOW_S = 60.0
MOST_LOST_S = 30.0
"""Of the window: a loop that stood still for longer is not well."""
BUCKETS_S = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60)


class LoopMetrics:
    """What Prometheus is told of it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lag = Histogram(
            "tunekeeper_event_loop_lag_seconds",
            "By how much a call of each second came late.",
            buckets=BUCKETS_S,
            registry=registry,
        )
        self.stalls = Counter(
            "tunekeeper_event_loop_stalls",
            "How often the event loop stood still for as long as the setting says.",
            registry=registry,
        )


@dataclass
class Pulse:
    """Beats once a second while the loop turns."""

    limit_s: float
    """Standing still for so long is a stall."""
    metrics: LoopMetrics
    clock: Callable[[], float] = time.monotonic
    _due_s: float = field(init=False)
    _late: deque[tuple[float, float]] = field(default_factory=deque)
    """When it turned again, and after how long; of the last window."""

    def __post_init__(self) -> None:
        """The first beat is a period from now."""
        self.expect()

    async def run(self) -> None:
        """Until cancelled."""
        self.expect()
        while True:
            await asyncio.sleep(PERIOD_S)
            self.beat()

    def expect(self) -> None:
        """The next beat is due a period from now."""
        self._due_s = self.clock() + PERIOD_S

    def beat(self) -> None:
        """The loop has turned; the next beat is due a period from now."""
        now_s, late_s = self.clock(), self.late_s()
        self.metrics.lag.observe(late_s)
        if late_s >= NOTABLE_S:
            self._late.append((now_s, late_s))
        if late_s >= self.limit_s:
            self.metrics.stalls.inc()
            log.error("the event loop turns again, after %.1f s", late_s)
        self.expect()

    def late_s(self) -> float:
        """How long the next beat is overdue."""
        return max(0.0, self.clock() - self._due_s)

    def lost_s(self) -> float:
        """Of the last minute: seconds in which the loop stood still."""
        now_s = self.clock()
        while self._late and self._late[0][0] <= now_s - WINDOW_S:
            self._late.popleft()
        now_late_s = self.late_s()
        ended_s = sum(late_s for _, late_s in self._late)
        return min(WINDOW_S, ended_s + (now_late_s if now_late_s >= NOTABLE_S else 0.0))


@dataclass
class Watchdog:
    """A thread that says where the loop stands still, while it does."""

    pulse: Pulse
    watched: int = field(default_factory=threading.get_ident)
    """The thread of the loop."""
    _told_s: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        """Begin to look."""
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        self._over.set()

    def look(self) -> None:
        """Log the stack once a stall is long enough, and again whenever it is twice as long."""
        late_s = self.pulse.late_s()
        if late_s < self.pulse.limit_s:
            self._told_s = 0.0
        elif late_s >= 2 * self._told_s:
            self._told_s = late_s
            stack = self._stack()
            log.error("the event loop has not turned for %.1f s; it is in:\n%s", late_s, stack)

    def _run(self) -> None:
        while not self._over.wait(self.pulse.limit_s / 4):
            self.look()

    def _stack(self) -> str:
        frame = sys._current_frames().get(self.watched)  # noqa: SLF001 - documented, for debuggers
        return "".join(traceback.format_stack(frame)) if frame is not None else "(it has ended)"
