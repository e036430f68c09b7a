"""The conditions of a BaseModel: one table of states, and one list of what may be said.

Everything that is said is made anew from the status each time, so that a state that passes leaves
no trace, and a quiet object is not written.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from controller.api.basemodel import ErrandFailure
from controller.api.conditions import ConditionStatus, ConditionType
from controller.api.meta import rfc3339
from controller.api.reasons import Reason
from controller.core.admission import admission_of
from controller.core.children import ChildState, Obstacle
from controller.core.conditions import MAX_MESSAGE, Stamp, find, put_each
from controller.core.failures import RULES
from controller.core.lost import are_cut_off, said_of_lost
from controller.core.watching.due import counts_at, next_due
from controller.core.watching.failures import is_users, said
from controller.core.watching.turn import BaseTurn
from trainer.contract.errand import Cause

C = ConditionType


class State(StrEnum):
    """Where a BaseModel stands."""

    LOOKING = "Looking"
    """For the first time at this source."""
    READY = "Ready"
    RETRYING = "Retrying"
    """Something is in the way that passes by itself."""
    STALLED = "Stalled"
    """Something that only a person can mend."""


@dataclass(frozen=True)
class Row:
    """The three conditions of one state; None: absent."""

    ready: ConditionStatus
    reconciling: ConditionStatus | None
    stalled: ConditionStatus | None


TABLE: dict[State, Row] = {
    State.LOOKING: Row(ready="Unknown", reconciling="True", stalled=None),
    State.READY: Row(ready="True", reconciling=None, stalled=None),
    State.RETRYING: Row(ready="False", reconciling="True", stalled=None),
    State.STALLED: Row(ready="False", reconciling=None, stalled="True"),
}


@dataclass(frozen=True)
class Saying:
    """What is said of the object."""

    state: State
    reason: Reason
    message: str
    is_untold: bool = False
    """No errand has told of it, so an event does when it begins."""


def say_conditions(turn: BaseTurn) -> BaseTurn:
    """The three conditions as the first view that applies says; suspended, nothing is coming."""
    saying = next(found for view in VIEWS if (found := view(turn)) is not None)
    row = TABLE[saying.state]
    if turn.observed.base.spec.suspend and not refusals(turn):
        row, saying = Row(row.ready, None, None), _suspended(saying)
    truths = ((C.READY, row.ready), (C.RECONCILING, row.reconciling), (C.STALLED, row.stalled))
    base = turn.observed.base
    stamp = Stamp(base.metadata.generation, turn.observed.now)
    known = turn.status.conditions
    message = saying.message[:MAX_MESSAGE]
    warned = _warned_once(turn, saying) if saying.is_untold else turn
    return warned.saying(conditions=put_each(known, stamp, truths, saying.reason, message))


NO_DIRECTORY = (
    "spec.source.directory: a directory is for local runs (tunekeeper run); in a cluster"
    " use huggingFace, git or s3"
)


WAITS_FOR_OTHERS = (
    "as many sources are looked at as the operator's setting max_concurrent_looks allows; this one"
    " is when it is its turn"
)
"""Without the position: it would be another write for each look of somebody else."""


def refusals(turn: BaseTurn) -> list[str]:
    """Why the spec cannot be carried out."""
    base = turn.observed.base
    if base.spec.source.directory is None or turn.observed.settings.is_local:
        return []
    return [NO_DIRECTORY]


def _refused(turn: BaseTurn) -> Saying | None:
    told = refusals(turn)
    if not told:
        return None
    return Saying(State.STALLED, Reason.INVALID_SPEC, "; ".join(told), is_untold=True)


def _hindered(turn: BaseTurn) -> Saying | None:
    obstacle = _obstacle(turn)
    if obstacle is None:
        return None
    is_for_good = obstacle.reason is Reason.INVALID_SPEC
    state = State.STALLED if is_for_good else State.RETRYING
    remedy = NO_JOB if is_for_good else RULES[obstacle.reason].errand
    parts = (f"{turn.errand.errand}: {obstacle.said}", remedy)
    return Saying(state, obstacle.reason, "; ".join(filter(None, parts)), is_untold=True)


def _obstacle(turn: BaseTurn) -> Obstacle | None:
    """What the server said, or the pod, or its events; of a running pod, nothing."""
    if not turn.is_under_way:
        return None
    child = turn.child
    if child is None:
        return turn.observed.obstacle
    if child.is_suspended:
        return admission_of(child)
    return child.wait if child.state is ChildState.PENDING else None


def _blocked(turn: BaseTurn) -> Saying | None:
    """What was told to end and has not, while the next errand is due."""
    if turn.is_under_way or not turn.unfinished or next_due(turn).at > turn.observed.now:
        return None
    if are_cut_off(turn.unfinished, turn.observed.now):
        said = said_of_lost(turn.unfinished)
        return Saying(State.RETRYING, Reason.NODE_LOST, said, is_untold=True)
    names = ", ".join(child.name for child in turn.unfinished)
    text = f"{names} has not ended yet; the next errand starts when it has"
    return Saying(State.RETRYING, Reason.STOPPING, f"{text}; {RULES[Reason.STOPPING].errand}")


def _failed_look(turn: BaseTurn) -> Saying | None:
    failure, latest = turn.status.look_failure, turn.latest
    if failure is None:
        return None
    if failure.not_before is None:
        return Saying(State.RETRYING, Reason.RETRYING, "the changed source is looked at")
    message = said("resolve", failure, "lookFailure")
    kept = f"; revision {latest.revision} stays usable" if latest is not None else ""
    return Saying(_state_of(failure), _reason_of(failure), message + kept)


def _failed_write_back(turn: BaseTurn) -> Saying | None:
    failure = turn.status.write_back_failure
    if failure is None:
        return None
    if failure.not_before is None:
        return Saying(State.RETRYING, Reason.RETRYING, "what was changed is written back")
    is_told = failure.reason in set(Cause)
    reason = _reason_of(failure) if is_told else Reason.WRITE_BACK_FAILED
    return Saying(_state_of(failure), reason, said("write-back", failure, "writeBackFailure"))


def _first_look(turn: BaseTurn) -> Saying | None:
    if turn.latest is not None:
        return None
    if turn.observed.look_position and not turn.is_under_way:
        return Saying(State.LOOKING, Reason.QUEUED, WAITS_FOR_OTHERS)
    return Saying(State.LOOKING, Reason.RESOLVING, "the source is looked at for the first time")


def _settling(turn: BaseTurn) -> Saying | None:
    candidate, counts, latest = turn.status.candidate, counts_at(turn), turn.latest
    if candidate is None or counts is None or latest is None:
        return None
    text = (
        f"revision {candidate.revision} counts from {rfc3339(counts)} if it still stands then;"
        f" until then {latest.revision} does"
    )
    return Saying(State.READY, Reason.SETTLING, text)


def _resolved(turn: BaseTurn) -> Saying:
    assert turn.latest is not None  # noqa: S101 - else it would be the first look
    return Saying(State.READY, Reason.RESOLVED, f"revision {turn.latest.revision}")


VIEWS: tuple[Callable[[BaseTurn], Saying | None], ...] = (
    _refused,
    _hindered,
    _blocked,
    _failed_look,
    _failed_write_back,
    _first_look,
    _settling,
    _resolved,
)


NO_JOB = "report it: the spec has no part in it"
"""Where the API server says that an errand's Job is no valid Job."""


def _suspended(before: Saying) -> Saying:
    text = "spec.suspend is true: the source is not looked at, and nothing is written"
    return Saying(before.state, Reason.SUSPENDED, text)


def _state_of(failure: ErrandFailure) -> State:
    return State.STALLED if is_users(failure.reason) else State.RETRYING


def _reason_of(failure: ErrandFailure) -> Reason:
    """A newer release may have stored a word that this one does not know."""
    return Reason(failure.reason) if failure.reason in set(Reason) else Reason.UNEXPECTED


def _warned_once(turn: BaseTurn, saying: Saying) -> BaseTurn:
    known = find(turn.observed.base.status.conditions, C.READY)
    if known is not None and known.reason == saying.reason:
        return turn
    return turn.telling("Warning", saying.reason, saying.message)
