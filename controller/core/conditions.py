"""The conditions of a job: one table for the four of its state, one function that sets any.

A condition keeps its ``lastTransitionTime`` while its status stays the same, so that deciding
again about a quiet object changes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from controller.api.conditions import Condition, ConditionStatus, ConditionType
from controller.api.reasons import Reason

C = ConditionType

MAX_MESSAGE = 4096


class State(StrEnum):
    """Where an object stands; also the phase that people see."""

    PENDING = "Pending"
    QUEUED = "Queued"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True)
class Row:
    """The four conditions of one state; None: absent."""

    reconciling: ConditionStatus | None
    stalled: ConditionStatus | None
    succeeded: ConditionStatus
    finished: ConditionStatus


_WORKING = Row(reconciling="True", stalled=None, succeeded="Unknown", finished="False")

TABLE: dict[State, Row] = {
    State.PENDING: _WORKING,
    State.QUEUED: _WORKING,
    State.RUNNING: _WORKING,
    State.SUSPENDED: Row(reconciling=None, stalled=None, succeeded="Unknown", finished="False"),
    State.SUCCEEDED: Row(reconciling=None, stalled=None, succeeded="True", finished="True"),
    State.FAILED: Row(reconciling=None, stalled="True", succeeded="False", finished="True"),
}


@dataclass(frozen=True)
class Stamp:
    """What every condition that is set in one decision shares."""

    generation: int
    now: datetime


def put_state(
    conditions: Sequence[Condition], stamp: Stamp, state: State, reason: Reason, message: str = ""
) -> list[Condition]:
    """The conditions with the four of the state set, or absent, as the table says."""
    row = TABLE[state]
    truths: tuple[tuple[ConditionType, ConditionStatus | None], ...] = (
        (C.RECONCILING, row.reconciling),
        (C.STALLED, row.stalled),
        (C.SUCCEEDED, row.succeeded),
        (C.FINISHED, row.finished),
    )
    return put_each(conditions, stamp, truths, reason, message)


def put_each(
    conditions: Sequence[Condition],
    stamp: Stamp,
    truths: Iterable[tuple[ConditionType, ConditionStatus | None]],
    reason: Reason,
    message: str,
) -> list[Condition]:
    """The conditions with each of these set, or absent where its truth is None."""
    result = list(conditions)
    for kind, truth in truths:
        result = (
            drop(result, kind)
            if truth is None
            else put(result, stamp, kind, truth, reason, message=message)
        )
    return result


def put(
    conditions: Sequence[Condition],
    stamp: Stamp,
    kind: ConditionType,
    truth: ConditionStatus,
    reason: Reason,
    *,
    message: str = "",
) -> list[Condition]:
    """The conditions with one of them set, in place; its time moves only with its truth."""
    old = find(conditions, kind)
    new = Condition(
        type=kind,
        status=truth,
        reason=reason,
        message=message[:MAX_MESSAGE],
        observed_generation=stamp.generation,
        last_transition_time=old.last_transition_time
        if old is not None and old.status == truth
        else stamp.now,
    )
    if old is None:
        return [*conditions, new]
    return [new if condition.type == kind else condition for condition in conditions]


def drop(conditions: Sequence[Condition], kind: ConditionType) -> list[Condition]:
    """The conditions without one of them."""
    return [condition for condition in conditions if condition.type != kind]


def find(conditions: Sequence[Condition], kind: ConditionType) -> Condition | None:
    """The condition of that type, if it is there."""
    return next((condition for condition in conditions if condition.type == kind), None)


def is_true(conditions: Sequence[Condition], kind: ConditionType) -> bool:
    """Whether the condition is there and True."""
    found = find(conditions, kind)
    return found is not None and found.status == "True"
