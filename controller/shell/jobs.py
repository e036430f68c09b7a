"""FineTuneJobs, as the reconciler works on them."""

from dataclasses import dataclass
from typing import Any

from controller.api.finetunejob import FineTuneJob
from controller.api.read import read_metadata, read_status
from controller.api.status import FineTuneJobStatus
from controller.core.children import Child
from controller.core.decide import decide
from controller.core.draft import Decision
from controller.core.observed import Observed
from controller.core.unreadable import refuse_unreadable
from controller.errors import SpecError
from controller.shell.kinds import ATTEMPT_LABELS, FINETUNEJOBS
from controller.shell.limits import Limits
from controller.shell.looks import Look, builtins_of
from controller.shell.metrics import Metrics
from controller.shell.observe import Observer
from controller.shell.records import JobObject
from controller.shell.work import Work


@dataclass
class JobWork(Work[FineTuneJob, Child, FineTuneJobStatus, Observed]):
    """With limits, and the metrics of runs."""

    observer: Observer
    limits: Limits
    metrics: Metrics
    resource = FINETUNEJOBS
    labels = ATTEMPT_LABELS

    def observe(self, look: Look[FineTuneJob, Child]) -> Observed:
        """Takes the places that are free for it."""
        return self.observer.observe(look)

    def decide(self, observed: Observed) -> Decision[FineTuneJobStatus]:
        """By the core."""
        return decide(observed)

    def refuse(self, stored: JobObject, error: SpecError) -> Decision[FineTuneJobStatus]:
        """It is said to be so, and no more."""
        metadata, status = read_metadata(builtins_of(stored)), read_status(stored.status)
        return refuse_unreadable(metadata, status, error, self.observer.now())

    def settle(
        self, uid: str, status: FineTuneJobStatus, observed: Observed | None, *, is_alive: bool
    ) -> None:
        """It keeps its places, or gives them back."""
        is_behind = observed is not None and observed.retrain_position > 0
        self.limits.settle(uid, status, is_alive=is_alive, is_behind=is_behind)

    def leave(self, uid: str) -> None:
        """A finalizer may hold it for long; nobody waits behind it."""
        self.limits.forget(uid)

    def count(self, obj: FineTuneJob, status: FineTuneJobStatus, *, has_changed: bool) -> None:
        """Bring the metrics to what is stored."""
        job = obj.model_copy(update={"status": status})
        self.metrics.published(job)
        if has_changed:
            self.metrics.changed(job, obj.status)

    def count_unreadable(self, stored: JobObject, status: FineTuneJobStatus) -> None:
        """Its series without what its spec would say."""
        metadata = read_metadata(builtins_of(stored))
        parts: dict[str, Any] = {"metadata": metadata, "status": status}
        self.metrics.published(FineTuneJob.model_construct(**parts))
