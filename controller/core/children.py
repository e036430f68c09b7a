"""A stage as the core sees it: one Job on a cluster, one process on a laptop."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from trainer.contract.failures import FAILURE_OF_EXIT_CODE, FailureClass
from trainer.contract.outcome import Details, Outcome
from trainer.contract.progress import Progress
from trainer.contract.request import Stage


class ChildState(StrEnum):
    """Where a child stands."""

    PENDING = "Pending"
    RUNNING = "Running"
    STOPPING = "Stopping"
    """Told to stop; its pods may still be alive."""
    FINISHED = "Finished"
    """No pod of it is alive."""


@dataclass(frozen=True)
class Child:
    """One attempt at a stage of a run of the observed object (never somebody else's)."""

    name: str
    run: int
    stage: Stage
    attempt: int
    spec_hash: str
    state: ChildState
    outcome: Outcome | None = None
    details: Details | None = None
    exit_code: int | None = None
    started: datetime | None = None
    finished: datetime | None = None
    progress: Progress | None = None
    is_stopped: bool = False
    """It was told to stop (a Job's deletionTimestamp), so its end is nobody's failure."""
    log: str = ""
    """Where a person finds its log."""

    @property
    def is_unfinished(self) -> bool:
        """Whether something of it may still be alive."""
        return self.state is not ChildState.FINISHED

    def last_word(self, uid: str) -> Outcome | None:
        """Its outcome, if it speaks for this very attempt."""
        said = self.outcome
        if said is None:
            return None
        told = (said.uid, said.run, said.stage, said.attempt)
        return said if told == (uid, self.run, self.stage, self.attempt) else None

    def failure(self, uid: str) -> tuple[FailureClass, str] | None:
        """Why it did not do its work; None when it did. Exit 0 without a word is no success."""
        said = self.last_word(uid)
        if said is not None and said.failure is not None:
            return said.failure, said.message or said.failure.value
        code = self.exit_code
        if said is not None and code in (0, None):
            return None
        if self.is_stopped:
            return FailureClass.INTERRUPTED, "stopped before it could say more"
        word = "after" if said is not None else "without"
        kind = FAILURE_OF_EXIT_CODE.get(code or 1, FailureClass.UNEXPECTED)
        return kind, f"ended {word} its outcome with exit code {code}"

    def seconds(self, now: datetime) -> float:
        """How long it has run."""
        if self.started is None:
            return 0.0
        return max(0.0, ((self.finished or now) - self.started).total_seconds())
