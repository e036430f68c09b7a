"""The steps that keep account of what a run has used, and end it when nothing is left.

What an attempt took is charged when its end is settled. One that vanished, its Job and pods
deleted by hand, is charged what was last written of it: so every status write that is made anyway
notes how long the attempt under way has worked.
"""

from controller.api.status import JobCost
from controller.core.children import Child
from controller.core.ending import end_failed
from controller.core.failures import RULES, Policy
from controller.core.remainder import Left, left, left_now
from controller.core.turn import Turn
from trainer.contract.failures import FailureClass
from trainer.contract.limit import LIMITED_BY
from trainer.contract.request import Stage


def charge(turn: Turn, child: Child) -> Turn:
    """The time of an attempt that ended; one that only found something missing waited."""
    failure = child.failure(turn.observed.job.metadata.uid)
    is_wait = failure is not None and RULES[failure[0]].policy is Policy.WAIT
    seconds = 0.0 if is_wait else child.seconds(turn.observed.now)
    return turn.running(active_seconds=turn.run.active_seconds + seconds, attempt_seconds=0)


def charge_vanished(turn: Turn) -> Turn:
    """The time of an attempt that nothing is left of."""
    if not turn.is_under_way or turn.child is not None or not turn.run.attempt_seconds:
        return turn
    seconds = turn.run.attempt_seconds
    charged = turn.running(active_seconds=turn.run.active_seconds + seconds, attempt_seconds=0)
    return charged.saying(cost=_cost_of_vanished(turn, seconds))


def note_seconds(turn: Turn) -> Turn:
    """How long the attempt under way has worked, in a write that is made anyway."""
    if turn.status == turn.observed.job.status or not turn.is_under_way:
        return turn
    child = turn.child
    if child is None or not child.is_unfinished or child.started is None:
        return turn
    return turn.running(attempt_seconds=child.seconds(turn.observed.now))


def end_when_spent(turn: Turn) -> Turn:
    """Nothing starts with nothing left; only a judge does, on an adapter that is there."""
    if turn.child is not None or turn.stage is Stage.JUDGE or turn.unfinished:
        return turn
    spent = spent_limit(turn)
    return turn if spent is None else end_spent(turn, spent)


def spent_limit(turn: Turn) -> Left | None:
    """The limit that leaves nothing for another attempt at the stage; None: something is left."""
    rest = left_now(turn.observed.job, turn.status, turn.stage)
    return rest if rest is not None and rest.is_spent else None


def end_spent(turn: Turn, spent: Left, why: str = "") -> Turn:
    """The run ends by its limit, before a GPU is asked for again."""
    before = f"{why}; " if why else ""
    message = f"{before}nothing is left of {LIMITED_BY[spent.failure]} for another attempt"
    return end_failed(turn, spent.failure, message)


def named_by_limit(
    turn: Turn, child: Child, failure: tuple[FailureClass, str] | None
) -> tuple[FailureClass, str] | None:
    """A passed deadline of a pod or process, by the limit that it stood for."""
    if failure is None or failure[0] is not FailureClass.DEADLINE_EXCEEDED:
        return failure
    gpus = turn.observed.job.spec.compute.gpus
    rest = left(turn.run.limits, turn.status, child.stage, gpus=gpus)
    return failure if rest is None else (rest.failure, failure[1])


def _cost_of_vanished(turn: Turn, seconds: float) -> JobCost | None:
    cost, gpus = turn.status.cost or JobCost(), turn.observed.job.spec.compute.gpus
    if turn.stage is not Stage.TRAIN:
        return turn.status.cost
    return cost.model_copy(
        update={
            "gpu_seconds": cost.gpu_seconds + seconds * gpus,
            "wall_seconds": cost.wall_seconds + seconds,
            "wasted_gpu_seconds": cost.wasted_gpu_seconds + seconds * gpus,
        }
    )
