"""The steps that start and stop errands: write-ahead first, then the child.

As for the stages of a run: a child is asked for only when the *stored* status records exactly that
errand, so that a crash between the two leaves a record without a child, which is simply started.
"""

from datetime import datetime, timedelta

from controller.api.basemodel import ErrandFailure, ErrandStatus
from controller.api.reasons import Reason
from controller.core.actions import StartErrand, StopStage
from controller.core.naming import errand_name
from controller.core.watching.child import ErrandChild
from controller.core.watching.due import asked_check, next_due, write_back_due_at
from controller.core.watching.source import revision_of
from controller.core.watching.turn import BaseTurn
from trainer.contract.errand import (
    BaseModelIdentity,
    Errand,
    ModelRevision,
    ResolveRequest,
    WriteBackRequest,
)

KEPT_ERRANDS = 2
"""For their logs."""
KEPT_FOR = timedelta(days=1)
"""As the Jobs of a FineTuneJob stay by default: a failed one is an alert for as long as it does."""


def forget_what_was_changed(turn: BaseTurn) -> BaseTurn:
    """What a changed spec makes void: an errand about something else, a failure, a candidate."""
    kept = turn if turn.is_of_this_source else turn.saying(candidate=None, memo="")
    kept = kept.saying(
        look_failure=_still_true(kept, Errand.RESOLVE, kept.status.look_failure),
        write_back_failure=_still_true(kept, Errand.WRITE_BACK, kept.status.write_back_failure),
    )
    return kept.ended() if kept.is_under_way and not _is_wanted(kept) else kept


def stop_what_is_not_wanted(turn: BaseTurn) -> BaseTurn:
    """A child of no recorded errand, or about something else, is ended, never adopted."""
    wanted = turn.child if turn.is_under_way else None
    strays = [child for child in turn.unfinished if child is not wanted]
    return turn.stopping(strays, "not the recorded errand")


def drop_old_errands(turn: BaseTurn) -> BaseTurn:
    """Children whose end the stored status knows, but for the newest few, and these for a day."""
    stored = turn.observed.base.status.errand
    if stored is None:
        return turn
    known = stored.number if stored.end_time is not None else stored.number - 1
    over = [c for c in turn.observed.children if not c.is_unfinished and c.number <= known]
    newest_first = sorted(over, key=lambda child: child.number, reverse=True)
    now, kept = turn.observed.now, newest_first[:KEPT_ERRANDS]
    expired = [child for child in kept if _expires(child, now) <= now]
    coming = [when for child in kept if (when := _expires(child, now)) > now]
    old = [*newest_first[KEPT_ERRANDS:], *expired]
    dropped = turn.doing(*(StopStage(child.name, "its end is recorded") for child in old))
    return dropped.after((min(coming) - now).total_seconds()) if coming else dropped


def _expires(child: ErrandChild, now: datetime) -> datetime:
    return (child.finished or now) + KEPT_FOR


def record_due_errand(turn: BaseTurn) -> BaseTurn:
    """The next errand in the status, when its time has come and nothing else lives."""
    if turn.is_under_way or turn.unfinished:
        return turn
    due = next_due(turn)
    left_s = (due.at - turn.observed.now).total_seconds()
    if left_s > 0:
        return turn.after(left_s)
    if due.errand is Errand.RESOLVE and turn.observed.look_position:
        return _waiting_for_others(turn)
    return _record(turn, due.errand)


def _waiting_for_others(turn: BaseTurn) -> BaseTurn:
    """Woken when it is its turn; until then only a write-back may come to be due."""
    writing_at = write_back_due_at(turn)
    if writing_at is None:
        return turn
    return turn.after((writing_at - turn.observed.now).total_seconds())


def start_recorded_errand(turn: BaseTurn) -> BaseTurn:
    """Create the child of the errand that the stored status records."""
    if not turn.is_under_way or turn.child is not None or turn.unfinished:
        return turn
    if not _is_stored(turn):
        return turn.after(0)
    obstacle = turn.observed.obstacle
    if obstacle is not None and obstacle.reason is Reason.INVALID_SPEC:
        return turn  # it would be refused again until the spec changes
    return turn.doing(_start(turn))


def _still_true(
    turn: BaseTurn, errand: Errand, failure: ErrandFailure | None
) -> ErrandFailure | None:
    """A failure of something else is tried again at once; nothing, where nothing is asked for."""
    asked = turn.asked_hash(errand)
    if failure is None or asked is None:
        return None
    is_same = failure.source_hash == asked
    return failure if is_same else failure.model_copy(update={"not_before": None})


def _is_wanted(turn: BaseTurn) -> bool:
    errand = turn.errand
    if errand.errand is None or errand.source_hash != turn.asked_hash(errand.errand):
        return False
    is_new = all(child.number < errand.number for child in turn.observed.children)
    return is_new or turn.child is not None  # a number that another child bears is used once


def _record(turn: BaseTurn, errand: Errand) -> BaseTurn:
    known = turn.status.errand
    used = [child.number for child in turn.observed.children]
    number = max([known.number if known else 0, *used]) + 1
    asked = asked_check(turn) if errand is Errand.RESOLVE else None
    recorded = ErrandStatus(
        number=number,
        errand=errand,
        source_hash=turn.asked_hash(errand),
        start_time=turn.observed.now,
    )
    handled = asked or turn.status.last_handled_check
    return turn.saying(errand=recorded, last_handled_check=handled).after(0)


def _is_stored(turn: BaseTurn) -> bool:
    stored = turn.observed.base.status.errand
    if stored is None or stored.end_time is not None:
        return False
    now = turn.errand
    return (now.number, now.errand, now.source_hash) == (
        stored.number,
        stored.errand,
        stored.source_hash,
    )


def _start(turn: BaseTurn) -> StartErrand:
    base, errand = turn.observed.base.metadata, turn.errand
    assert errand.errand is not None  # noqa: S101 - it is wanted
    name = errand_name(base.name, base.uid, errand=errand.errand, number=errand.number)
    is_look = errand.errand is Errand.RESOLVE
    request = _look_request(turn) if is_look else _write_back_request(turn)
    return StartErrand(name, request, errand.source_hash or "", turn.observed.settings.image)


def _look_request(turn: BaseTurn) -> ResolveRequest:
    status = turn.status
    known = status.candidate or turn.latest
    found = known and ModelRevision(revision=known.revision, content_digest=known.content_digest)
    return ResolveRequest(
        base_model=_identity(turn),
        number=turn.errand.number,
        source=turn.observed.base.spec.source,
        known=found,
        memo=status.memo,
    )


def _write_back_request(turn: BaseTurn) -> WriteBackRequest:
    spec, latest, history = turn.observed.base.spec, turn.latest, turn.status.history
    assert spec.write_back is not None  # noqa: S101 - it is wanted
    assert latest is not None  # noqa: S101 - it is wanted
    return WriteBackRequest(
        base_model=_identity(turn),
        number=turn.errand.number,
        source=spec.source,
        git=spec.write_back.git,
        new=revision_of(latest),
        old=revision_of(history[0]) if history else None,
    )


def _identity(turn: BaseTurn) -> BaseModelIdentity:
    meta = turn.observed.base.metadata
    return BaseModelIdentity(namespace=meta.namespace, name=meta.name, uid=meta.uid)
