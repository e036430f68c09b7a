"""A stage whose Job is suspended: by the queue that it waits in, or by a person.

Whoever suspended it lets it go on; it is never done from here. The wait shows, takes none of the
operator's places for runs, and costs nothing.
"""

from datetime import datetime

from controller.api.finetunejob import FineTuneJob
from controller.api.reasons import Reason
from controller.api.status import Preempted
from controller.core.children import AnyChild, Child, Obstacle, Span
from controller.core.failures import hindrance
from controller.core.intent import Want, read_intent
from controller.core.naming import child_name
from controller.core.observed import Observed
from controller.core.turn import Turn
from trainer.contract.request import Stage

HAND_REMEDY = (
    "it goes on when whoever set spec.suspend of that Job unsets it: a person, or Kueue where it"
    " manages Jobs without a queue name"
)


def admission_of(child: AnyChild, *, was_preempted: bool = False) -> Obstacle:
    """What a suspended child waits for; with Kueue's own words, where it has said some."""
    has_pod = any(span.end is None for span in child.spans)
    said = _said(child.name, child.queue, has_pod=has_pod, was_preempted=was_preempted)
    is_kueues = child.wait is not None and child.wait.reason is Reason.NOT_ADMITTED
    words = f"; Kueue says: {child.wait.said}" if is_kueues and child.wait else ""
    remedy = "" if child.queue else HAND_REMEDY
    return hindrance(Reason.NOT_ADMITTED, f"{said}{words}", remedy)


def admission_before_start(turn: Turn) -> Obstacle | None:
    """What an attempt that is about to be created will wait for, in the very same words.

    Where stages are processes, and have no images, nobody holds them.
    """
    job, run = turn.observed.job, turn.run
    meta, queue = job.metadata, job.spec.compute.queue_name
    if not queue or turn.stage is not Stage.TRAIN or run.images is None:
        return None
    name = child_name(meta.name, meta.uid, run=run.number, stage=turn.stage, attempt=run.attempt)
    said = _said(name, queue, has_pod=False, was_preempted=False)
    return hindrance(Reason.NOT_ADMITTED, said)


def _said(name: str, queue: str, *, has_pod: bool, was_preempted: bool) -> str:
    if not queue:
        return f"Job {name} was suspended by somebody else"
    if has_pod:
        return f"Job {name} is being preempted by Kueue (queue {queue}); its pod is ending"
    if was_preempted:
        again = "waits to be admitted again; it goes on from its last checkpoint"
        return f"Job {name} was preempted by Kueue (queue {queue}) and {again}"
    return f"Job {name} waits in the queue {queue} to be admitted by Kueue"


def is_left_to_queue(observed: Observed) -> bool:
    """Whether something else than the operator's own limit says when the work goes on."""
    held = any(child.is_suspended for child in observed.children if child.is_unfinished)
    is_queued = held or _is_train_of_queue(observed.job)
    return is_queued and read_intent(observed.job).want is Want.NOTHING


def _is_train_of_queue(job: FineTuneJob) -> bool:
    run = job.status.run
    is_train = run is not None and run.end_time is None and run.stage is Stage.TRAIN
    return is_train and job.spec.compute.queue_name is not None


def count_preempted_pods(turn: Turn) -> Turn:
    """What a pod of a suspended Job took is recorded at its end: nothing else remembers the pod."""
    child = turn.child if turn.is_under_way else None
    if child is None or not child.is_unfinished or not child.is_suspended:
        return turn
    known = turn.run.preempted or Preempted()
    new = [span for span in _uncounted(known, child) if span.end is not None]
    if not new:
        return turn
    now = turn.observed.now
    seconds = known.seconds + sum(span.seconds(now) for span in new)
    last = max(span.end or now for span in new)
    return turn.running(
        preempted=Preempted(count=known.count + len(new), seconds=seconds, last_time=last)
    )


def attempt_seconds(turn: Turn, child: Child) -> float:
    """How long the attempt had a node, in all of its pods; not how long it waited between them."""
    now, known = turn.observed.now, turn.run.preempted or Preempted()
    if not child.spans:
        return known.seconds + child.seconds(now)
    return known.seconds + sum(span.seconds(now) for span in _uncounted(known, child))


def _uncounted(known: Preempted, child: Child) -> list[Span]:
    """A Job has one pod at a time, so that a time tells which are counted."""
    counted: datetime | None = known.last_time
    return [s for s in child.spans if counted is None or s.end is None or s.end > counted]
