"""From what is seen at each poll to what happened in between. Pure; both views print it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from controller.core.children import Child
from controller.core.failures import RULES, Policy
from controller.core.watching.child import ErrandChild
from controller.local.view import figures
from trainer.contract.progress import ActivityProgress


class Happening(StrEnum):
    """What a line tells of."""

    STAGE_STARTED = "stage started"
    ACTIVITY_STARTED = "activity started"
    ACTIVITY_ENDED = "activity ended"
    STAGE_ENDED = "stage ended"
    STAGE_FAILED = "stage failed"


Shown = Child | ErrandChild
"""What a view can show."""


@dataclass(frozen=True)
class Notice:
    """One line for people."""

    happening: Happening
    text: str


@dataclass
class _Seen:
    started: int = 0
    ended: int = 0
    is_over: bool = False


@dataclass
class Follower:
    """Remembers what was told of each child, so that nothing is told twice or left out."""

    uid: str
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def notices(self, children: Sequence[Shown], now: datetime) -> Iterator[Notice]:
        """What is new since the last call."""
        for child in children:
            yield from self._of(child, now)

    def _of(self, child: Shown, now: datetime) -> Iterator[Notice]:
        if child.name not in self._seen:
            self._seen[child.name] = _Seen()
            yield Notice(Happening.STAGE_STARTED, child.title)
        seen = self._seen[child.name]
        if seen.is_over:
            return
        yield from _activities(child, seen)
        if not child.is_unfinished:
            seen.is_over = True
            yield self._end(child, now)

    def _end(self, child: Shown, now: datetime) -> Notice:
        took = figures.duration(child.seconds(now))
        failure = child.failure(self.uid)
        if failure is None:
            return Notice(Happening.STAGE_ENDED, f"{child.work} done in {took}")
        kind, message = failure
        # the end tells what nobody waits for; and nobody waits where someone sits and looks
        is_end = RULES[kind].policy in (Policy.NEVER, Policy.WAIT)
        reason = "" if is_end else f": {message}"
        return Notice(Happening.STAGE_FAILED, f"{child.work}: {kind.value}{reason}")


def current_activity(child: Shown) -> ActivityProgress | None:
    """What the child is doing, as far as it said."""
    activities = child.progress.activities if child.progress else []
    return activities[-1] if activities else None


def counted(activity: ActivityProgress) -> str:
    """How far an activity is."""
    done = figures.number(activity.done)
    if not activity.total:
        return f"{done} {activity.unit}"
    return f"{done}/{figures.number(activity.total)} {activity.unit}"


def eta_s(activity: ActivityProgress) -> float | None:
    """What the activity still takes at its own pace."""
    if not activity.done or not activity.total:
        return None
    return activity.seconds / activity.done * (activity.total - activity.done)


def _activities(child: Shown, seen: _Seen) -> Iterator[Notice]:
    """All but the last are over; the last one is, when the stage is."""
    activities = child.progress.activities if child.progress else []
    over = len(activities) - (1 if child.is_unfinished else 0)
    for index, activity in enumerate(activities):
        if index >= seen.started:
            seen.started = index + 1
            yield Notice(Happening.ACTIVITY_STARTED, activity.name)
        if seen.ended <= index < over:
            seen.ended = index + 1
            took = figures.duration(activity.seconds)
            text = f"{activity.name}: {counted(activity)} in {took}"
            yield Notice(Happening.ACTIVITY_ENDED, text)
