"""Why a pod does not start: read from its events, and only when it takes too long."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from controller.api.reasons import Reason
from controller.core.children import AnyChild, Obstacle
from controller.core.failures import hindrance
from controller.kube.client import Client
from controller.kube.errors import KubeError
from controller.kube.resources import CORE_EVENTS
from controller.shell.queue import said_by_queue, workload_of
from controller.shell.refusals import words

QUEUE_PATIENCE = 20
"""Times the usual period: a queue may take days, and so may thousands that wait in it."""

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Series(Struct, rename="camel"):
    """An event that happened more than once."""

    last_observed_time: datetime | None = None


class ReadEvent(Struct, rename="camel"):
    """One event, as far as it tells why something does not start."""

    reason: str = ""
    message: str = ""
    last_timestamp: datetime | None = None
    event_time: datetime | None = None
    series: Series | None = None

    def time(self) -> datetime:
        """When it last happened; each writer of events fills in another field."""
        seen = self.series.last_observed_time if self.series else None
        return max(filter(None, (seen, self.last_timestamp, self.event_time)), default=LONG_AGO)


class EventList(Struct):
    """The answer to a LIST."""

    items: list[ReadEvent] = msgspec.field(default_factory=list)


GOOD_SIGNS = frozenset({"SuccessfulCreate", "Scheduled", "Pulled", "Created", "Started"})
"""What came before one of these is over."""

IMAGE_REASONS = frozenset({"ErrImageNeverPull", "InspectFailed", "InvalidImageName"})
HOST_REASONS = frozenset(
    {"FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "NetworkNotReady"}
)
_POD_NAME = re.compile(r'\bpods "([a-z0-9.-]+)-[a-z0-9]{5}"')
"""Of a pod that never was; it would differ at each try, and each would be a status write."""
_IMAGE_WORDS = re.compile(r"pull.*image|image.*pull|ErrImage|InvalidImageName", re.IGNORECASE)


def read_events(events: Sequence[ReadEvent]) -> Obstacle | None:
    """The obstacle that the newest telling event speaks of."""
    for event in sorted(events, key=ReadEvent.time, reverse=True):
        if event.reason in GOOD_SIGNS:
            return None
        found = _read_event(event)
        if found is not None:
            return found
    return None


def _read_event(event: ReadEvent) -> Obstacle | None:
    said = words(event.message)
    if event.reason == "FailedCreate":
        return _refused(said)
    if event.reason == "FailedScheduling":
        return hindrance(Reason.UNSCHEDULABLE, f"no node takes the pod: {said}")
    if event.reason in IMAGE_REASONS or (
        event.reason in ("Failed", "BackOff") and _IMAGE_WORDS.search(event.message)
    ):
        return hindrance(Reason.IMAGE_PULL, said)
    if event.reason in HOST_REASONS:
        return hindrance(Reason.PENDING, f"the node cannot start the pod yet: {said}")
    return None


def _refused(said: str) -> Obstacle:
    """A pod that admission will not have; the Job controller asks again, each with a new name."""
    text = f"the pod was refused: {_POD_NAME.sub(_without_suffix, said)}"
    if "exceeded quota" in said:
        return hindrance(Reason.QUOTA_EXCEEDED, text)
    return hindrance(Reason.ADMISSION_DENIED, text)


def _without_suffix(found: re.Match[str]) -> str:
    return f"pods {found[1]}"


@dataclass(frozen=True)
class Awaited:
    """A child that has not started."""

    child: AnyChild
    subject: str
    """Whose events say why: the uid of its pod, or of its Job where there is no pod."""
    since: datetime


@dataclass
class _Looked:
    at: datetime
    found: Obstacle | None


@dataclass
class Waits:
    """What keeps children from starting; one LIST per child and period."""

    client: Client
    grace_s: float
    period_s: float
    _looked: dict[str, _Looked] = field(default_factory=dict)
    """By the uid of the pod, or of the Job that has none."""

    def known(self, subject: str) -> Obstacle | None:
        """What the last look found."""
        looked = self._looked.get(subject)
        return looked.found if looked else None

    def next_look_s(self, awaited: Awaited, now: datetime) -> float:
        """Seconds until the events are worth a look; 0: now."""
        looked = self._looked.get(awaited.subject)
        if looked is not None:
            patience = QUEUE_PATIENCE if awaited.child.is_suspended else 1
            return _left_s(self.period_s * patience, looked.at, now)
        return _left_s(self.grace_s, awaited.since, now)

    async def look(self, namespace: str, awaited: Awaited, now: datetime) -> None:
        """Read the events about the subject; what cannot be read leaves what was known."""
        subject = awaited.subject
        before = self.known(subject)
        self._looked[subject] = _Looked(now, before)
        try:
            events = await self._events(namespace, f"involvedObject.uid={subject}")
            if awaited.child.is_suspended:
                found = said_by_queue(events, await self._of_workload(namespace, events))
            else:
                found = read_events(events)
        except (KubeError, msgspec.MsgspecError):
            return
        self._looked[subject] = _Looked(now, found)

    async def _of_workload(self, namespace: str, of_job: Sequence[ReadEvent]) -> list[ReadEvent]:
        """Kueue tells most about the Workload that it made for the Job."""
        name = workload_of(of_job)
        if not name:
            return []
        about = f"involvedObject.kind=Workload,involvedObject.name={name}"
        return await self._events(namespace, about)

    async def _events(self, namespace: str, about: str) -> list[ReadEvent]:
        answer = await self.client.list(CORE_EVENTS, namespace, field_selector=about)
        return msgspec.json.decode(answer, type=EventList).items

    def forget(self, subject: str) -> None:
        """The subject is gone, or runs."""
        self._looked.pop(subject, None)


def _left_s(period_s: float, since: datetime, now: datetime) -> float:
    """Of a period, and never more than the whole of it: clocks may go back."""
    return min(period_s, max(0.0, period_s - (now - since).total_seconds()))
