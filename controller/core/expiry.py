"""What is kept for a time and no longer: the finished Jobs of runs that ended, and the history.

A Job goes ``ttlSecondsAfterFinished`` after its run's end, not after its own: the Jobs of a run are
read together. What the stored status does not know the end of is never deleted here.
"""

from datetime import datetime, timedelta

from controller.core.actions import StopStage
from controller.core.children import Child
from controller.core.turn import Turn

MAX_TTL_S = 10 * 365 * 86400
"""More than anybody means, and less than a date can hold."""


def expire_children(turn: Turn) -> Turn:
    """Delete what has been kept long enough; look again when the next is."""
    now = turn.observed.now
    times = [(child, _expires(turn, child)) for child in turn.observed.children]
    over = [child for child, when in times if when is not None and when <= now]
    coming = [when for _, when in times if when is not None and when > now]
    why = "spec.ttlSecondsAfterFinished has passed since its run ended"
    expired = turn.doing(*(StopStage(child.name, why) for child in over))
    return expired.after((min(coming) - now).total_seconds()) if coming else expired


def trim_history(turn: Turn) -> Turn:
    """A lowered ``historyLimit`` counts at once, not only when the next run ends."""
    limit, history = turn.observed.job.spec.history_limit, turn.status.history
    if len(history) <= limit:
        return turn
    return turn.saying(history=history[-limit:] if limit else [])


def _expires(turn: Turn, child: Child) -> datetime | None:
    """When the child may go; None: not yet, and no time is known."""
    ended = None if child.is_unfinished else _end_of_run(turn, child)
    if ended is None:
        return None
    ttl_s = min(turn.observed.job.spec.ttl_seconds_after_finished, MAX_TTL_S)
    return max(ended, child.finished or ended) + timedelta(seconds=ttl_s)


def _end_of_run(turn: Turn, child: Child) -> datetime | None:
    """When the run of a child ended, by the stored status; None: it has not, or nobody knows."""
    stored = turn.observed.job.status
    run = stored.run
    if run is None or child.run > run.number:
        return None
    if child.run == run.number:
        is_known = child.attempt <= run.attempts.get(child.stage.value, 0)
        return run.end_time if is_known else None
    ends = (entry.end_time for entry in stored.history if entry.run == child.run)
    superseded = child.finished or run.start_time  # it left no entry: the next run took its place
    return next(ends, None) or superseded
