"""The step that reads an errand that ended: what was found, what counts, what failed."""

from datetime import timedelta

from controller.api.basemodel import (
    CandidateRevision,
    ErrandFailure,
    SettledRevision,
    WrittenRevision,
)
from controller.api.reasons import Reason
from controller.core.failures import Failure
from controller.core.watching.child import ErrandChild
from controller.core.watching.due import CLOCK_SKEW
from controller.core.watching.failures import next_failure
from controller.core.watching.source import location_hash, target_hash
from controller.core.watching.turn import BaseTurn
from trainer.contract.errand import Errand, ErrandOutcome, ModelRevision
from trainer.contract.failures import FailureClass

MAX_HISTORY = 10


def settle_ended_errand(turn: BaseTurn) -> BaseTurn:
    """What it said goes into the status; what is next is decided on what was stored."""
    child = turn.child if turn.is_under_way else None
    if child is None or child.is_unfinished:
        return turn
    uid = turn.observed.base.metadata.uid
    said, failure = child.last_word(uid), child.failure(uid)
    if failure is None and child.errand is Errand.RESOLVE and (said is None or not said.found):
        failure = FailureClass.UNEXPECTED, "ended without a revision"
    if failure is not None:
        told = _failed(turn, child, said, *failure)
    else:
        assert said is not None  # noqa: S101 - no failure only with an outcome
        told = _looked(turn, child, said) if said.found else _written(turn, said)
    return told.ended().after(0).over()


def _looked(turn: BaseTurn, child: ErrandChild, said: ErrandOutcome) -> BaseTurn:
    assert said.found is not None  # noqa: S101 - the caller has looked
    memo = child.details.memo if child.details is not None else ""
    found = _found(turn, said.found)
    return found.saying(
        last_check_time=turn.observed.now,
        look_failure=None,
        source_hash=location_hash(turn.observed.base.spec.source),
        memo=memo,
    )


def _found(turn: BaseTurn, found: ModelRevision) -> BaseTurn:
    """The rule by which a revision comes to count.

    A candidate that was first seen in what is the future now is seen anew: a clock was set back.
    """
    latest, candidate = turn.status.latest, turn.status.candidate
    if latest is not None and found.content_digest == latest.content_digest:
        # The old source's name for it means nothing in a new source; else a README was edited.
        kept = latest if turn.is_of_this_source else _renamed(latest, found)
        return turn.saying(latest=kept, candidate=None)
    if latest is None or not turn.is_of_this_source:
        return _count(turn, found)
    is_seen = candidate is not None and candidate.first_seen <= turn.observed.now + CLOCK_SKEW
    if candidate is None or not is_seen or candidate.content_digest != found.content_digest:
        is_now = turn.observed.base.spec.settle_seconds == 0
        return _count(turn, found) if is_now else turn.saying(candidate=_seen(turn, found))
    return _count(turn, found) if _has_settled(turn, candidate) else turn


def _seen(turn: BaseTurn, found: ModelRevision) -> CandidateRevision:
    now = turn.observed.now
    return CandidateRevision(
        revision=found.revision, content_digest=found.content_digest, first_seen=now
    )


def _has_settled(turn: BaseTurn, candidate: CandidateRevision) -> bool:
    """Whether the look that found it began late enough; one that was slow proves nothing.

    Nor does one that began in what is the future now: a clock was set back.
    """
    settle_s, now = turn.observed.base.spec.settle_seconds, turn.observed.now
    looked_at = min(turn.errand.start_time or now, now)
    return looked_at >= candidate.first_seen + timedelta(seconds=settle_s)


def _renamed(latest: SettledRevision, found: ModelRevision) -> SettledRevision:
    return latest.model_copy(update={"revision": found.revision})


def _count(turn: BaseTurn, found: ModelRevision) -> BaseTurn:
    old, history = turn.status.latest, turn.status.history
    new = SettledRevision(
        revision=found.revision,
        content_digest=found.content_digest,
        observed_time=turn.observed.now,
    )
    counted = turn.saying(latest=new, candidate=None)
    if old is None:
        return counted.telling("Normal", Reason.RESOLVED, f"revision {new.revision}")
    told = f"revision {new.revision} follows {old.revision}"
    moved = counted.saying(history=[old, *history][:MAX_HISTORY])
    return moved.telling("Normal", Reason.NEW_REVISION_AVAILABLE, told)


def _written(turn: BaseTurn, said: ErrandOutcome) -> BaseTurn:
    write_back, latest = turn.observed.base.spec.write_back, turn.latest
    if write_back is None or latest is None:
        return turn  # nobody asks for it any more
    written = WrittenRevision(
        revision=latest.revision, commit=said.commit, target_hash=target_hash(write_back)
    )
    done = turn.saying(write_back=written, write_back_failure=None)
    if not said.commit:
        return done
    files = "1 file" if said.changed_files == 1 else f"{said.changed_files} files"
    text = f"revision {latest.revision} in commit {said.commit}, {files}"
    text = f"{text}; {said.message}" if said.message else text  # markers that were not followed
    return done.telling("Normal", Reason.WRITTEN_BACK, text)


def _failed(
    turn: BaseTurn,
    child: ErrandChild,
    said: ErrandOutcome | None,
    failure: Failure,
    message: str,
) -> BaseTurn:
    is_look = child.errand is Errand.RESOLVE
    name = "look_failure" if is_look else "write_back_failure"
    known: ErrandFailure | None = getattr(turn.status, name)
    cause = said.cause if said is not None else None
    told = ErrandFailure(
        reason=(cause or failure).value,
        message=message[:1024],
        source_hash=turn.errand.source_hash,
    )
    settings = turn.observed.settings
    stored = next_failure(
        known,
        told,
        now=turn.observed.now,
        asked_s=said.retry_after_seconds if said is not None else None,
        base_s=settings.retry_base_s,
        cap_s=turn.observed.base.spec.poll_period_seconds,
    )
    checked = turn.saying(last_check_time=turn.observed.now) if is_look else turn
    return _warned_once(checked.saying(**{name: stored}), known, stored)


def _warned_once(turn: BaseTurn, known: ErrandFailure | None, failure: ErrandFailure) -> BaseTurn:
    """Said when it begins, and when it is another; not at each try."""
    if known is not None and known.reason == failure.reason:
        return turn
    reason = Reason(failure.reason) if failure.reason in set(Reason) else Reason.UNEXPECTED
    return turn.telling("Warning", reason, failure.message or failure.reason)
