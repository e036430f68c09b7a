"""When the next errand is due, and which. A point in time, never a timer."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.api.basemodel import ErrandFailure
from controller.api.meta import CHECK_ANNOTATION
from controller.core.watching.failures import MAX_ASKED_S
from controller.core.watching.source import target_hash
from controller.core.watching.turn import BaseTurn
from trainer.contract.errand import Errand

MAX_CHECK = 256
"""Of the annotation's value; an API server bounds only all annotations together."""

JITTER = 0.1
CLOCK_SKEW = timedelta(seconds=1)
"""By which another replica's clock may be ahead; what is later was written by one that lied."""


@dataclass(frozen=True)
class Due:
    """An errand and its earliest start."""

    at: datetime
    errand: Errand


def next_due(turn: BaseTurn) -> Due:
    """The errand that comes first; of two that are due, the one that is written is the shorter."""
    known = [Due(look_due_at(turn), Errand.RESOLVE)]
    writing_at = write_back_due_at(turn)
    if writing_at is not None:
        known.append(Due(writing_at, Errand.WRITE_BACK))
    now = turn.observed.now
    ready = [due for due in known if due.at <= now]
    return ready[-1] if ready else min(known, key=lambda due: due.at)


def look_due_at(turn: BaseTurn) -> datetime:
    """When the source is looked at next."""
    now, failure = turn.observed.now, turn.status.look_failure
    if asked_check(turn) is not None:
        return now
    if failure is not None:
        return _after_pause(turn, failure)
    if not turn.is_of_this_source:  # never looked at, or never there
        return now
    return min(_regular(turn))


def write_back_due_at(turn: BaseTurn) -> datetime | None:
    """When the revision that counts is written back; None when it is, or is not to be."""
    write_back, latest = turn.observed.base.spec.write_back, turn.latest
    if write_back is None or latest is None:
        return None
    written = turn.status.write_back
    wanted = (latest.revision, target_hash(write_back))
    if written is not None and (written.revision, written.target_hash) == wanted:
        return None
    failure = turn.status.write_back_failure
    return _after_pause(turn, failure) if failure is not None else turn.observed.now


def asked_check(turn: BaseTurn) -> str | None:
    """The annotation's value, if nobody has looked for it yet."""
    asked = turn.observed.base.metadata.annotations.get(CHECK_ANNOTATION, "")[:MAX_CHECK]
    return asked if asked not in ("", turn.status.last_handled_check) else None


def counts_at(turn: BaseTurn) -> datetime | None:
    """When the candidate counts, if a look then still finds it."""
    candidate, spec = turn.status.candidate, turn.observed.base.spec
    if candidate is None:
        return None
    return candidate.first_seen + timedelta(seconds=spec.settle_seconds)


def jitter(uid: str) -> float:
    """A factor from 0.9 to 1.1, the same for an object at all times."""
    digest = hashlib.sha256(uid.encode()).digest()
    return 1 + JITTER * (2 * int.from_bytes(digest[:4]) / 0xFFFFFFFF - 1)


def _after_pause(turn: BaseTurn, failure: ErrandFailure) -> datetime:
    """A pause that is longer than any is the word of a clock that was set back since."""
    now, period_s = turn.observed.now, turn.observed.base.spec.poll_period_seconds
    longest = timedelta(seconds=max(MAX_ASKED_S, period_s))
    asked = failure.not_before
    return asked if asked is not None and asked <= now + longest else now


def _regular(turn: BaseTurn) -> Iterator[datetime]:
    settled = counts_at(turn)
    if settled is not None:
        yield settled
    yield _poll_at(turn)


def _poll_at(turn: BaseTurn) -> datetime:
    """A last look that is said to be in the future (a clock was set back) is no last look."""
    now, last, base = turn.observed.now, turn.status.last_check_time, turn.observed.base
    if last is None or last > now + CLOCK_SKEW:
        return now
    period_s = base.spec.poll_period_seconds * jitter(base.metadata.uid)
    return last + timedelta(seconds=period_s)
