"""The two limits of the operator, asked and settled together: runs, and retrainings among them.

A retraining needs a place in both. It asks for the narrower one first and stands in one line at a
time: as long as it waits there, the job keeps its phase and takes no place among the runs.
"""

from dataclasses import dataclass, replace

from controller.api.status import FineTuneJobStatus
from controller.core.admission import is_left_to_queue
from controller.core.conditions import State
from controller.core.observed import Observed
from controller.core.retrain import is_retrain_due
from controller.shell.slots import Slots, holds_slot, place_of, wants_slot


@dataclass
class Limits:
    """Of one fleet."""

    runs: Slots
    retrains: Slots

    def placed(self, observed: Observed, *, is_alive: bool) -> Observed:
        """With the object's positions now; takes the places that are free for it."""
        if not (self.runs.limit or self.retrains.limit):
            return observed
        is_due = is_retrain_due(observed)
        behind = self._take_retrain(observed, is_due=is_due, is_alive=is_alive)
        has_work = wants_slot(observed.job, observed.now) and not is_left_to_queue(observed)
        wants = has_work or (is_due and not behind)
        position = self.runs.take(place_of(observed.job), wants=wants, is_alive=is_alive)
        return replace(observed, queue_position=position, retrain_position=behind)

    def _take_retrain(self, observed: Observed, *, is_due: bool, is_alive: bool) -> int:
        is_one = is_alive and is_retraining(observed.job.status)
        return self.retrains.take(place_of(observed.job), wants=is_due, is_alive=is_one)

    def settle(
        self, uid: str, status: FineTuneJobStatus, *, is_alive: bool, is_behind: bool = False
    ) -> None:
        """What the decision made of the object; ``is_behind``: its retraining stands in line."""
        is_queued = status.phase == State.QUEUED
        is_held = is_alive or holds_slot(status, self.runs.now())
        self.runs.settle(uid, holds=is_held, waits=is_queued)
        # one that waits among the runs keeps its place among the retrainings
        keeps = self.retrains.has(uid) and is_queued
        is_one = keeps or (is_retraining(status) and is_held)
        self.retrains.settle(uid, holds=is_one, waits=is_behind)

    def forget(self, uid: str) -> None:
        """The object is gone."""
        self.runs.forget(uid)
        self.retrains.forget(uid)


def is_retraining(status: FineTuneJobStatus) -> bool:
    """Whether the newest run is one that a moved base model made."""
    return status.run is not None and status.run.trigger == "BaseModel"
