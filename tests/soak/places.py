"""Where an attempt is killed: a seeded course through a training, as conditions on what is seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from soak.sight import Sight

EPOCH_0, EPOCH_1, BOUNDARY = "epoch 0", "epoch 1", "epoch boundary"
UPLOAD, PUBLICATION, ANY = "checkpoint upload", "publication", "any moment"
KINDS = (EPOCH_0, EPOCH_1, BOUNDARY, UPLOAD, PUBLICATION, ANY)
MAX_MORE_S = 0.03
"""A step and its checkpoint take about as long: the kill falls anywhere in them."""
MAX_AFTER_S = 1.5


@dataclass(frozen=True)
class Plan:
    """The training's steps: at which each epoch ends, the last one included."""

    ends: Sequence[int]

    def epoch_of(self, step: int) -> int:
        """The epoch that goes on after so many steps."""
        return sum(step >= end for end in self.ends)


@dataclass(frozen=True)
class Place:
    """One kill."""

    kind: str
    is_here: Callable[[Sight], bool] | None
    """Where it stops itself; can be pickled. None: at its start."""
    more_s: float = 0.0
    """Let it run on for so long, then kill it wherever it is."""
    pauses: bool = False
    """Not killed, but left standing still until another attempt has come to the end."""


def has_done(step: int, sight: Sight) -> bool:
    """The step is safe."""
    return sight.own_whole >= step


def in_epoch(kind: str, number: int, plan: Plan, rng: Random) -> Place:
    """After a random step of the epoch, and a random time on."""
    first = plan.ends[number - 1] if number else 0
    step = rng.randint(first + 1, plan.ends[number] - 2)
    return Place(kind, partial(has_done, step), rng.uniform(0, MAX_MORE_S))


def is_boundary(plan: Plan, sight: Sight) -> bool:
    """What is safe is exactly whole epochs."""
    return sight.own_whole in plan.ends[:-1] and not sight.own_torn


def at_boundary(plan: Plan) -> Place:
    """Between two epochs."""
    return Place(BOUNDARY, partial(is_boundary, plan))


def in_upload(plan: Plan, number: int, rng: Random) -> Place:
    """Some files of a checkpoint are there, and not what vouches for them."""
    first = plan.ends[number - 1] if number else 0
    step = rng.randint(first + 2, plan.ends[number] - 1)
    return Place(UPLOAD, partial(is_torn, step))


def is_torn(step: int, sight: Sight) -> bool:
    """Some files of that step's checkpoint or a later one, and not what vouches for them."""
    return sight.own_torn >= step


def is_unvouched(sight: Sight) -> bool:
    """The adapter without its manifest."""
    return sight.own_adapter and not sight.manifest


def is_beside_checkpoints(sight: Sight) -> bool:
    """The manifest beside checkpoints, which it made needless."""
    return sight.manifest and sight.checkpoints > 0


def is_answered(sight: Sight) -> bool:
    """Answers without their manifest."""
    return sight.own_answers and not sight.generation


PUBLISHING: Sequence[Callable[[Sight], bool]] = (is_unvouched, is_beside_checkpoints, is_answered)


def at_any_moment(rng: Random) -> Place:
    """By the clock alone, from the process's start."""
    return Place(ANY, None, rng.uniform(0, MAX_AFTER_S))


def course(plan: Plan, rng: Random) -> list[Place]:
    """The kills of one training, in the order in which it comes by."""
    publishing = [Place(PUBLICATION, is_here) for is_here in PUBLISHING]
    return [
        at_any_moment(rng),
        in_epoch(EPOCH_0, 0, plan, rng),
        in_upload(plan, 0, rng),
        at_boundary(plan),
        in_epoch(EPOCH_1, 1, plan, rng),
        in_upload(plan, 1, rng),
        in_epoch(EPOCH_1, 1, plan, rng),
        at_any_moment(rng),
        Place("publication, standing still", is_unvouched, pauses=True),
        *publishing,
    ]


def short_course(plan: Plan, _: Random) -> list[Place]:
    """A sample: no random step or time, and one attempt that wakes up too late."""
    return [
        Place(UPLOAD, partial(is_torn, 2)),
        Place(BOUNDARY, partial(is_boundary, plan)),
        Place("publication, standing still", is_unvouched, pauses=True),
        Place(PUBLICATION, is_beside_checkpoints),
    ]


def landed(kind: str, sight: Sight, plan: Plan) -> bool:
    """Whether the kill fell where it was meant to, by what the dead attempt has left."""
    match kind:
        case "epoch 0" | "epoch 1":
            return plan.epoch_of(sight.whole) == int(kind[-1]) and not sight.is_trained
        case "epoch boundary":
            return sight.whole in plan.ends[:-1] and not sight.own_torn
        case "checkpoint upload":
            return sight.own_torn > 0
        case "publication":
            return any(is_here(sight) for is_here in PUBLISHING)
        case _:
            return True


def told(sight: Sight, plan: Plan) -> str:
    """Where it was, in words."""
    if any(is_here(sight) for is_here in PUBLISHING):
        return "publishing"
    if sight.is_trained:
        return "answering, trained"
    if sight.own_torn:
        return f"writing the checkpoint of step {sight.own_torn}, step {sight.whole} is safe"
    if not sight.own_whole:
        return f"before its first checkpoint, step {sight.whole} is safe"
    return f"step {sight.whole} of {plan.ends[-1]} is safe, in epoch {plan.epoch_of(sight.whole)}"
