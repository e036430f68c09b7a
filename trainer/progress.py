"""A stage's live progress: what the work reports, and the JSON that a poller reads.

The tracker is told the parts of the work with estimated weights, so that percent and ETA cover
the whole stage; it is safe to read from another thread.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from trainer.contract.progress import ActivityProgress, Progress
from trainer.contract.request import POD_UID_ENV, StageRequest
from trainer.pulse import beat

MIN_PERCENT_FOR_ETA = 1.0


@dataclass
class _Part:
    name: str
    unit: str
    weight: float
    total: int = 0
    done: int = 0
    started_s: float | None = None
    ended_s: float | None = None

    def fraction(self) -> float:
        if self.ended_s is not None:
            return 1.0
        return min(1.0, self.done / self.total) if self.total else 0.0


@dataclass
class _Figures:
    step: int = 0
    max_steps: int = 0
    train_loss: float | None = None
    eval_loss: float | None = None
    tokens_per_second: float | None = None
    mfu: float | None = None
    learning_rate: float | None = None
    gradient_norm: float | None = None


@dataclass
class _More:
    """What Prometheus alone is told."""

    initial_loss: float | None = None
    tokens: int | None = None
    step_seconds: float | None = None
    gpu_memory_bytes: int | None = None
    gpu_memory_peak_bytes: int | None = None
    checkpoint_period_s: float | None = None


@dataclass
class ProgressTracker:
    """Collects progress from the stage's one working thread."""

    request: StageRequest
    clock: Callable[[], float] = time.monotonic
    pod_uid: str = field(default_factory=lambda: os.environ.get(POD_UID_ENV, ""))
    _parts: list[_Part] = field(default_factory=list)
    _figures: _Figures = field(default_factory=_Figures)
    _more: _More = field(default_factory=_More)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _resumed_percent: float = 0.0
    _started_s: float | None = None
    _checkpoint_s: float | None = None

    def plan(self, parts: Sequence[tuple[str, str, float]]) -> None:
        """Declare the parts to come: (name, unit, estimated share of the time)."""
        beat()
        with self._lock:
            known = {part.name: part for part in self._parts}
            self._parts = [
                known.get(name) or _Part(name, unit, weight) for name, unit, weight in parts
            ]

    def start(self, name: str, total: int, *, done: int = 0) -> None:
        """Begin a part; ``done`` of it may come from an earlier attempt. Ends the one before."""
        beat(name)
        with self._lock:
            now = self.clock()
            if self._started_s is None:
                self._started_s = now
            self._end_current(now)
            part = self._part(name)
            part.total, part.done, part.started_s, part.ended_s = total, done, now, None
            if total:
                self._resumed_percent += 100 * part.weight / self._weight() * done / total

    def advance(self, count: int = 1) -> None:
        """Count work done on the current part; 0 is no sign that anything moves."""
        if count:
            beat()
        with self._lock:
            current = self._current()
            if current is not None:
                current.done += count

    def measure(self, **figures: float | None) -> None:
        """Update figures: of the snapshot, by their names in the contract, or of ``figures``."""
        beat()
        with self._lock:
            for name, value in figures.items():
                setattr(self._more if hasattr(self._more, name) else self._figures, name, value)

    def checkpoint(self, period_s: float | None) -> None:
        """The work so far is durable, and the next one due in a period; None: none is due now."""
        with self._lock:
            self._more.checkpoint_period_s = period_s
            self._checkpoint_s = None if period_s is None else self.clock()

    def checkpoint_age_s(self) -> float | None:
        """Since the work was last durable; None while none of it needs to be."""
        with self._lock:
            return None if self._checkpoint_s is None else self.clock() - self._checkpoint_s

    def figures(self) -> dict[str, float | None]:
        """What is no part of the snapshot."""
        with self._lock:
            return dict(vars(self._more))

    def finish(self) -> None:
        """End the current part."""
        beat()
        with self._lock:
            self._end_current(self.clock())

    def snapshot(self) -> Progress:
        """The progress as it is now."""
        with self._lock:
            percent = self._percent()
            return Progress(
                uid=self.request.job.uid,
                pod_uid=self.pod_uid,
                run=self.request.run,
                stage=self.request.stage,
                attempt=self.request.attempt,
                percent=percent,
                eta_seconds=self._eta_s(percent),
                activities=[
                    self._activity(part) for part in self._parts if part.started_s is not None
                ],
                **vars(self._figures),
            )

    def _current(self) -> _Part | None:
        running = (p for p in self._parts if p.started_s is not None and p.ended_s is None)
        return next(running, None)

    def _part(self, name: str) -> _Part:
        """The part of that name; one that was not planned joins at the end."""
        for part in self._parts:
            if part.name == name:
                return part
        self._parts.append(_Part(name, "rows", 1.0))
        return self._parts[-1]

    def _end_current(self, now_s: float) -> None:
        current = self._current()
        if current is not None:
            current.ended_s = now_s

    def _weight(self) -> float:
        return sum(part.weight for part in self._parts) or 1.0

    def _percent(self) -> float:
        done = sum(part.weight * part.fraction() for part in self._parts)
        return min(100.0, 100 * done / self._weight())

    def _eta_s(self, percent: float) -> float | None:
        """Remaining time at this attempt's own pace; work of earlier attempts is no pace."""
        gained = percent - self._resumed_percent
        if self._started_s is None or gained < MIN_PERCENT_FOR_ETA:
            return None
        return (100 - percent) * (self.clock() - self._started_s) / gained

    def _activity(self, part: _Part) -> ActivityProgress:
        end = part.ended_s if part.ended_s is not None else self.clock()
        started = part.started_s if part.started_s is not None else end
        total = part.total if part.ended_s is None else max(part.total, part.done)
        return ActivityProgress(
            name=part.name, done=part.done, total=total, unit=part.unit, seconds=end - started
        )
