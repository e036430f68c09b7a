"""Slots of one limit, of runs or of retrainings: who holds one, and who is next. Oldest first.

A slot is taken when the decision that records the run is made, before its status is written, so
that two reconciles at once never take the same one; it is given back by the decision after which
no run is under way, nothing of it is alive, and none is about to be: a suspended run gives its slot
back and stands in line again when it is resumed, and so does one that pauses until something
arrives that is missing, or a single forgotten Secret could stop a whole fleet. Nothing of this is
stored: after a restart the runs that the statuses record hold theirs.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from controller.api.finetunejob import FineTuneJob
from controller.api.status import FineTuneJobStatus
from controller.core.conditions import State
from controller.core.intent import Want, read_intent
from controller.kube.objects import Key
from controller.shell.line import Line, Place, position

NEAR = 16
SHOWN_SOON_S, SHOWN_LATER_S = 1.0, 30.0
"""Until those near the head, and those behind them, see their new position: what moves often in
that time is written once. Whoever may go is woken at once."""


def wants_slot(job: FineTuneJob, now: datetime) -> bool:
    """Whether the object has work to do and may do it now."""
    if job.spec.suspend:
        return False
    run, intent = job.status.run, read_intent(job)
    if run is None or run.end_time is not None or intent.want is not Want.NOTHING:
        return intent.want is not Want.NOTHING
    has_changed = run.retry_hash != intent.retry_hash  # what it waits for may be what was changed
    return has_changed or not is_pausing(run.waits, run.not_before, now)


def holds_slot(status: FineTuneJobStatus, now: datetime) -> bool:
    """Whether what a decision made of the object keeps its slot."""
    run = status.run
    if run is None or run.end_time is not None or is_pausing(run.waits, run.not_before, now):
        return False
    return status.phase not in (State.SUSPENDED, State.FAILED, State.QUEUED)


def is_pausing(waits: int, not_before: datetime | None, now: datetime) -> bool:
    """Whether a run has nothing to do before then because something is missing."""
    return waits > 0 and not_before is not None and not_before > now


@dataclass
class Slots:
    """The slots of one fleet. A limit of 0 is no limit, and nothing is counted."""

    limit: int
    wake: Callable[[Key, float], None]
    """Asks for a key to be decided again after so many seconds."""
    now: Callable[[], datetime]
    _holding: set[str] = field(default_factory=set)
    _line: Line = field(default_factory=Line)

    def hold(self, uid: str) -> None:
        """The object's run was under way before this process began."""
        if self.limit:
            self._holding.add(uid)

    def expect(self, place: Place) -> None:
        """The object has never run: it is in the line before anyone decides about it."""
        if self.limit:
            self._line.join(place)

    def has(self, uid: str) -> bool:
        """Whether the object holds a slot."""
        return uid in self._holding

    def take(self, place: Place, *, wants: bool, is_alive: bool) -> int:
        """The object's position now; 0 also takes the slot, if it wants or uses one."""
        uid = place.uid
        if not self.limit or uid in self._holding:
            return 0
        if not is_alive and not wants:
            self._leave_line(uid)
            return 0
        now = 0 if is_alive else position(place, self._line, self._free)
        if now:
            self._join_line(place)
        else:
            self._line.leave(uid)
            self._holding.add(uid)
        return now

    def settle(self, uid: str, *, holds: bool, waits: bool) -> None:
        """What the decision made of the object: it keeps its slot or place, or gives it back."""
        if not self.limit:
            return
        if not waits:
            self._leave_line(uid)
        if holds:
            self._holding.add(uid)
        else:
            self._give_back(uid)

    def forget(self, uid: str) -> None:
        """The object is gone."""
        self._leave_line(uid)
        self._give_back(uid)

    @property
    def _free(self) -> int:
        return max(0, self.limit - len(self._holding))

    def _give_back(self, uid: str) -> None:
        if uid in self._holding:
            self._holding.discard(uid)
            self._show_positions()

    def _join_line(self, place: Place) -> None:
        if self._line.join(place):  # an old object that comes back: those behind it move
            self._show_positions(self._line.ahead(place) + 1)

    def _leave_line(self, uid: str) -> None:
        index = self._line.leave(uid)
        if index is not None:
            self._show_positions(index)

    def _show_positions(self, first: int = 0) -> None:
        for place, now in self._line.moved(first, self._free):
            shown_s = SHOWN_SOON_S if now <= NEAR else SHOWN_LATER_S
            self.wake(place.key, 0.0 if now <= 0 else shown_s)


def place_of(job: FineTuneJob) -> Place:
    """Where the object stands in the line."""
    meta = job.metadata
    assert meta.creation_timestamp is not None  # noqa: S101 - an API server has set it
    return Place(meta.creation_timestamp, (meta.namespace, meta.name), meta.uid)
