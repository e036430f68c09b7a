"""What a stage says while it works and when it ends, as parts of the status."""

from typing import Any

from controller.api.status import JobCost, JobProgress
from controller.core.admission import admission_of, attempt_seconds
from controller.core.begin import WORKING
from controller.core.children import Child, ChildState, Obstacle
from controller.core.conditions import State
from controller.core.lost import are_cut_off, look_when_late, show_ending
from controller.core.obstacles import hindered, is_shown_as_missing
from controller.core.price import budget_of
from controller.core.turn import Turn
from trainer.contract.outcome import Promoted
from trainer.contract.progress import Progress
from trainer.contract.request import Stage

SECONDS_PER_HOUR = 3600


def follow_attempt(turn: Turn) -> Turn:
    """What keeps it from running, or its progress, but not more often than people can use it."""
    child = turn.child
    if child is None or not child.is_unfinished:
        return turn
    if child.state is ChildState.STOPPING or are_cut_off([child], turn.observed.now):
        return show_ending(turn, [child])
    turn = look_when_late(turn, [child])
    obstacle = _obstacle(turn, child)
    if obstacle is not None:
        return hindered(turn, obstacle)
    if child.progress is None and is_shown_as_missing(turn):
        return turn
    running = turn.in_state(State.RUNNING, WORKING[child.stage])
    if child.progress is None or not _is_news(turn, child.progress):
        return running
    return running.saying(progress=_shown(turn, child.progress))


def _obstacle(turn: Turn, child: Child) -> Obstacle | None:
    """What the pod itself says, else what the events said of it; of a running pod, nothing."""
    if child.is_suspended:
        return admission_of(child, was_preempted=turn.run.preempted is not None)
    return (child.wait or turn.observed.obstacle) if child.state is ChildState.PENDING else None


def report_details(turn: Turn, child: Child) -> Turn:
    """The second line of the last word, where it was not lost, and what the attempt cost."""
    details = child.details if child.last_word(turn.observed.job.metadata.uid) else None
    fields: dict[str, Any] = {"cost": _cost(turn, child), "progress": None}
    if details is not None:
        known = {
            "data": details.data,
            "estimate": details.estimate,
            "evaluation": details.evaluation,
        }
        fields |= {name: part for name, part in known.items() if part is not None}
        fields["resolved"] = details.resolved or turn.status.resolved
        fields["promoted"] = _newest(turn.status.promoted, details.promoted)
    return turn.saying(**fields)


def _newest(known: Promoted | None, said: Promoted | None) -> Promoted | None:
    """The pointer never goes back: its sequence is monotone."""
    if said is None or (known is not None and known.sequence > said.sequence):
        return known
    return said


def _cost(turn: Turn, child: Child) -> JobCost:
    """GPU time counts by the clock from start to end, whatever became of it."""
    spec, cost = turn.observed.job.spec, turn.status.cost or JobCost()
    if child.stage is not Stage.TRAIN:
        return cost
    budget = budget_of(turn.observed)
    wall_s = attempt_seconds(turn, child)
    seconds = wall_s * spec.compute.gpus
    failed = child.failure(turn.observed.job.metadata.uid) is not None
    total = cost.gpu_seconds + seconds
    price = budget.price_per_gpu_hour
    return cost.model_copy(
        update={
            "gpu_seconds": total,
            "wall_seconds": cost.wall_seconds + wall_s,
            "tokens_per_second": _speed(child) or cost.tokens_per_second,
            "wasted_gpu_seconds": cost.wasted_gpu_seconds + (seconds if failed else 0),
            "amount": None if price is None else f"{float(price) * total / SECONDS_PER_HOUR:.2f}",
            "currency": budget.currency,
        }
    )


def _speed(child: Child) -> float | None:
    """Tokens/s in training, where the attempt trained and said so."""
    told = child.details.cost if child.details else None
    return told.tokens_per_second if told else None


def _is_news(turn: Turn, progress: Progress) -> bool:
    known = turn.status.progress
    if known is None or known.stage != progress.stage:
        return True
    if int(progress.percent) != known.percent or known.update_time is None:
        return True
    age_s = abs((turn.observed.now - known.update_time).total_seconds())  # clocks may go back
    return age_s >= turn.observed.settings.progress_period_s


def _shown(turn: Turn, progress: Progress) -> JobProgress:
    eta_s = progress.eta_seconds
    return JobProgress(
        stage=progress.stage,
        step=progress.step,
        max_steps=progress.max_steps,
        percent=int(progress.percent),
        train_loss=progress.train_loss,
        eval_loss=progress.eval_loss,
        tokens_per_second=progress.tokens_per_second,
        eta_seconds=None if eta_s is None else max(0, round(eta_s)),
        update_time=turn.observed.now,
    )
