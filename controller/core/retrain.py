"""How a run stands to its base model, and when a base model that has moved makes a new run.

``retrain.policy: Auto`` only; the spec is never touched. What holds a retraining back is a list of
small rules, asked in order: the first that has something to say is what the condition shows.
Nothing is trained twice for the same spec on the same content, however its source flaps.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from controller.api.basemodel import SettledRevision
from controller.api.conditions import ConditionStatus, ConditionType
from controller.api.meta import RERUN_ANNOTATION, rfc3339
from controller.api.reasons import Reason
from controller.api.status import HistoryEntry, RunBase
from controller.core.conditions import find
from controller.core.intent import Want, read_intent
from controller.core.observed import Observed
from controller.core.positions import shown_position
from controller.core.revision import is_following, is_unpinned
from controller.core.turn import Turn
from controller.core.watching.source import usable_latest
from trainer.contract.request import Stage

C = ConditionType


@dataclass(frozen=True)
class Standing:
    """What is said of the run's base model, and what is to be done about it."""

    truth: ConditionStatus
    reason: Reason
    message: str
    is_due: bool = False
    """A new run for the newest revision may begin."""
    after_s: float | None = None
    """When to look again, where nothing else will wake the object."""


@dataclass(frozen=True)
class Move:
    """A run whose base model has a newer revision."""

    turn: Turn
    ours: RunBase
    latest: SettledRevision

    def __str__(self) -> str:
        """Both revisions."""
        number, name = self.turn.run.number, self.ours.name or "its BaseModel"
        ours, latest = self.ours.revision, self.latest.revision
        return f"run {number} is for revision {ours}, the newest of {name} is {latest}"

    def waiting(self, why: str, *, after_s: float | None = None) -> Standing:
        """A retraining that will come."""
        text = f"{self}; it is trained again when {why}"
        return Standing("False", Reason.RETRAIN_WAITS, text, after_s=after_s)


def leave_to_people(move: Move) -> Standing | None:
    """Under Never and OnCommit, and with a pin, a commit decides."""
    if is_following(move.turn.observed):
        return None
    reason = Reason.BASE_MOVED if move.ours.kept else Reason.NEW_REVISION_AVAILABLE
    return Standing("False", reason, f"{move}: {_remedy(move)}")


def hold_while_suspended(move: Move) -> Standing | None:
    """Nothing starts."""
    suspended = move.turn.observed.job.spec.suspend
    return move.waiting("spec.suspend is false") if suspended else None


def never_try_twice(move: Move) -> Standing | None:
    """A revision that this spec was run on already; the source came back to it."""
    status = move.turn.status
    entry = next((e for e in reversed(status.history) if _is_about(e, move)), None)
    is_tried = entry is not None or move.latest.content_digest in status.tried_bases
    if not is_tried or move.turn.intent.want is Want.NEW_RUN:
        return None
    promoted = status.promoted
    is_used = promoted is not None and promoted.base_digest == move.latest.content_digest
    text = f"{move}, which was tried already{_by(entry)} and is not trained again"
    remedy = f"the adapter in use, of run {promoted.run_id}, is for it" if promoted else ""
    text = f"{text}; {remedy if is_used else _way_back(entry)}"
    return Standing("True" if is_used else "False", Reason.ALREADY_JUDGED, text)


def finish_other_work(move: Move) -> Standing | None:
    """A changed threshold, a pin or a mended failure is asked for by a person, and comes first."""
    want = move.turn.intent.want
    is_other = want not in (Want.NOTHING, Want.NEW_RUN)
    return move.waiting("what the spec asks for now is done") if is_other else None


def keep_min_period(move: Move) -> Standing | None:
    """Bounds what a restless source can spend; a commit is not bound by it."""
    last = move.turn.status.last_retrain_time
    if last is None:
        return None
    now, period_s = move.turn.observed.now, move.turn.observed.job.spec.retrain.min_period_seconds
    left_s = min(period_s, period_s - (now - last).total_seconds())  # clocks may go back
    if left_s <= 0:
        return None
    due = rfc3339(now + timedelta(seconds=left_s))
    why = f"spec.retrain.minPeriodSeconds ({period_s}) have passed since the last time, at {due}"
    return move.waiting(why, after_s=max(1.0, left_s))


def respect_run_under_way(move: Move) -> Standing | None:
    """Forbid waits for it, but not for one that waits itself; Replace takes its place.

    An attempt that has ended is settled first, and a judge is let finish: it costs no GPU, and a
    person may wait for the pin that it follows.
    """
    turn, run = move.turn, move.turn.run
    if run.end_time is not None or turn.intent.want is Want.NEW_RUN:
        return None
    if turn.child is not None and not turn.child.is_unfinished:
        return move.waiting(f"the attempt of run {run.number} that ended is recorded")
    if run.stage is Stage.JUDGE:
        return move.waiting(f"run {run.number} is judged")
    is_replaced = turn.observed.job.spec.retrain.concurrency_policy == "Replace"
    if is_replaced or (run.waits > 0 and not turn.unfinished):
        return None
    return move.waiting(f"run {run.number} has ended (spec.retrain.concurrencyPolicy: Forbid)")


def stand_in_line(move: Move) -> Standing | None:
    """The operator's limit on concurrent retrainings, oldest object first."""
    position = move.turn.observed.retrain_position
    if not position:
        return None
    place = f"position {shown_position(position)} in the queue"
    return move.waiting(f"fewer retrainings are under way in the cluster ({place})")


RULES: tuple[Callable[[Move], Standing | None], ...] = (
    leave_to_people,
    hold_while_suspended,
    never_try_twice,
    finish_other_work,
    keep_min_period,
    respect_run_under_way,
    stand_in_line,
)


def retrain_when_base_moved(turn: Turn) -> Turn:
    """The step: a new run where one is due, else a look at the time when it may be."""
    if not is_following(turn.observed):
        return turn
    found = standing(turn)
    if found is None or turn.intent.want is Want.NEW_RUN:
        return turn  # a new run is for the newest anyway
    if found.is_due:
        return turn.wanting(Want.NEW_RUN, "BaseModel")
    return turn if found.after_s is None else turn.after(found.after_s)


def compare_base_model(turn: Turn) -> Turn:
    """The step: the condition, and one event when a job falls behind."""
    found = standing(turn)
    if found is None:
        return turn
    known = find(turn.status.conditions, C.BASE_MODEL_CURRENT)
    shown = turn.holding(C.BASE_MODEL_CURRENT, found.truth, found.reason, found.message)
    is_news = found.truth == "False" and (known is None or known.status != "False")
    return shown.telling("Normal", found.reason, found.message) if is_news else shown


def look_again_after_end(turn: Turn) -> Turn:
    """A run that ends in this decision may be what a retraining waited for."""
    before, run = turn.observed.job.status.run, turn.status.run
    if run is None or run.end_time is None or not is_following(turn.observed):
        return turn
    was_over = before is not None and before.number == run.number and before.end_time is not None
    return turn if was_over or _move(turn) is None else turn.after(0.0)


def is_retrain_due(observed: Observed) -> bool:
    """Whether a new run would begin if there were a place for it."""
    if not is_following(observed) or observed.job.status.run is None:
        return False
    anyhow = replace(observed, retrain_position=0)
    found = standing(
        Turn(observed=anyhow, intent=read_intent(anyhow.job), status=anyhow.job.status)
    )
    return found is not None and found.is_due


def standing(turn: Turn) -> Standing | None:
    """None: nothing can be said, since the run's base model is not known or not comparable."""
    run, name = turn.status.run, turn.observed.job.spec.base_model.name
    if run is not None and name is not None and turn.observed.base_model is None:
        text = f"there is no BaseModel {name}, so nobody looks for newer revisions; create it"
        return Standing("Unknown", Reason.BASE_MODEL_NOT_FOUND, text)
    if run is None or run.base_model is None or not _is_comparable(turn, run.base_model):
        return None
    move = _move(turn)
    if move is None:
        text = f"revision {run.base_model.revision}"
        return Standing("True", Reason.BASE_MODEL_CURRENT, text)
    held = next((said for rule in RULES if (said := rule(move)) is not None), None)
    text = f"{move}; a new run for it begins"
    return held or Standing("False", Reason.NEW_REVISION_AVAILABLE, text, is_due=True)


def _is_comparable(turn: Turn, ours: RunBase) -> bool:
    """Before prepare has told, a pinned run has a revision and no digest."""
    base = turn.observed.base_model
    latest = usable_latest(base) if base is not None else None
    if base is None or latest is None:
        return ours.content_digest is not None
    is_named = ours.name in ("", base.metadata.name)
    return is_named and (ours.content_digest is not None or ours.revision == latest.revision)


def _move(turn: Turn) -> Move | None:
    run, base = turn.status.run, turn.observed.base_model
    latest = usable_latest(base) if base is not None else None
    ours = run.base_model if run is not None else None
    if latest is None or ours is None:
        return None
    is_same = (
        ours.revision == latest.revision
        if ours.content_digest is None
        else ours.content_digest == latest.content_digest
    )
    return None if is_same else Move(turn, ours, latest)


def _is_about(entry: HistoryEntry, move: Move) -> bool:
    same = (move.latest.content_digest, move.turn.intent.spec_hash)
    return (entry.base_digest, entry.spec_hash) == same


def _by(entry: HistoryEntry | None) -> str:
    return "" if entry is None else f" by run {entry.run} ({entry.result})"


def _way_back(entry: HistoryEntry | None) -> str:
    again = f"set the annotation {RERUN_ANNOTATION} to train on it once more"
    if entry is None or not entry.id:
        return again
    return f"pin run {entry.id} by spec.promotion.pin to use its adapter, or {again}"


def _remedy(move: Move) -> str:
    """What a person can do; the write-back only where there is one."""
    observed = move.turn.observed
    base = observed.base_model
    has_write_back = base is not None and base.spec.write_back is not None
    ways = [f"set spec.baseModel.revision to {move.latest.revision}"]
    ways += ["merge what the BaseModel's write-back committed"] if has_write_back else []
    pin = "" if is_unpinned(observed) else "remove the pin and "
    return ", or ".join([*ways, f"{pin}set spec.retrain.policy to Auto"])
