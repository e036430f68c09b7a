"""A stage or errand as the core sees it: one Job on a cluster, one process on a laptop."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from controller.api.reasons import Reason
from trainer.contract.failures import FAILURE_OF_EXIT_CODE, FailureClass
from trainer.contract.outcome import Details, Outcome
from trainer.contract.progress import Progress
from trainer.contract.request import Stage


@dataclass(frozen=True)
class Obstacle:
    """What keeps a stage from starting; it may pass without a change of the spec."""

    reason: Reason
    said: str
    """What is wrong, and where."""
    remedy: str = ""
    """What to do, where the object is a FineTuneJob; others say what fits them."""

    @property
    def message(self) -> str:
        """Both, for people."""
        return f"{self.said}; {self.remedy}" if self.remedy else self.said


Failed = tuple[Reason | FailureClass, str]
"""A row of the table of failures, and why it is that one."""


@dataclass(frozen=True)
class Ending:
    """What the cluster says ended a stage, where that is more than its exit code."""

    failure: Reason | FailureClass
    message: str


@dataclass(frozen=True, order=True)
class Span:
    """When one pod had its node."""

    start: datetime
    end: datetime | None = field(default=None, compare=False)
    """None: it still has it."""

    def seconds(self, now: datetime) -> float:
        """How long that is so far."""
        return max(0.0, ((self.end or now) - self.start).total_seconds())


class ChildState(StrEnum):
    """Where a child stands."""

    PENDING = "Pending"
    RUNNING = "Running"
    STOPPING = "Stopping"
    """Told to stop; its pods may still be alive."""
    FINISHED = "Finished"
    """No pod of it is alive."""


class Told(Protocol):
    """What every last word has in it."""

    @property
    def failure(self) -> FailureClass | None:
        """None: it did its work."""

    @property
    def message(self) -> str:
        """Why not, for people."""


@dataclass(frozen=True, kw_only=True)
class AnyChild:
    """One Job or process of an object, whatever its work is."""

    name: str
    state: ChildState
    exit_code: int | None = None
    started: datetime | None = None
    finished: datetime | None = None
    is_stopped: bool = False
    """It was told to stop (a Job's deletionTimestamp), so its end is nobody's failure."""
    has_ended: bool = False
    """The cluster says that it ended, whatever of its pods is shown here: nothing is to stop."""
    is_suspended: bool = False
    """Its Job starts no pod until somebody else lets it."""
    queue: str = ""
    """The queue that it waits in; empty: none."""
    spans: tuple[Span, ...] = ()
    """When its pods had their nodes, where one may follow another."""
    disruption: Ending | None = None
    """How its pod, or its Job, was taken away: evicted, preempted. Not the stage's doing."""
    ending: Ending | None = None
    wait: Obstacle | None = None
    """What keeps its pod from running."""
    ends_by: datetime | None = None
    """When a pod that was told to go has to be gone; one that is there after that is cut off."""
    log: str = ""
    """Where a person finds its log."""
    progress: Progress | None = None
    """Where it stands, if it said so; an errand says nothing."""

    @property
    def is_unfinished(self) -> bool:
        """Whether something of it may still be alive."""
        return self.state is not ChildState.FINISHED

    def why_failed(self, said: Told | None) -> Failed | None:
        """Why it did not do its work; None when it did. Exit 0 without a word is no success."""
        if said is not None and said.failure is not None:
            return self._as_told(said.failure, said.message or said.failure.value)
        if said is not None and self.exit_code in (0, None):
            return None
        if self.disruption is not None:
            return self.disruption.failure, self.disruption.message
        if self.is_stopped:
            return FailureClass.INTERRUPTED, "stopped before it could say more"
        if self.ending is not None:
            return self.ending.failure, self.ending.message
        return self._by_exit_code(is_told=said is not None)

    @property
    def is_overdue(self) -> bool:
        """Whether it was ended at its backstop."""
        return self.ending is not None and self.ending.failure is FailureClass.DEADLINE_EXCEEDED

    def seconds(self, now: datetime) -> float:
        """How long it has run."""
        if self.started is None:
            return 0.0
        return max(0.0, ((self.finished or now) - self.started).total_seconds())

    def _as_told(self, failure: FailureClass, message: str) -> Failed:
        """The stage knows best, but not who took its pod away."""
        end, untold = self.disruption, (FailureClass.INTERRUPTED, FailureClass.UNEXPECTED)
        if end is not None and failure in untold:
            return end.failure, f"{end.message}: {message}"
        if failure is FailureClass.INTERRUPTED and self.is_overdue and self.ending is not None:
            return self.ending.failure, f"{self.ending.message}: {message}"
        return failure, message

    def _by_exit_code(self, *, is_told: bool) -> Failed:
        word, code = "after" if is_told else "without", self.exit_code
        end = "and without an exit code" if code is None else f"with exit code {code}"
        kind = FAILURE_OF_EXIT_CODE.get(code or 1, FailureClass.UNEXPECTED)
        return kind, f"ended {word} its outcome {end}"


@dataclass(frozen=True, kw_only=True)
class Child(AnyChild):
    """One attempt at a stage of a run of the observed object (never somebody else's)."""

    run: int
    stage: Stage
    attempt: int
    spec_hash: str
    """What it was started for: the digest, or as much of it as its label holds."""
    outcome: Outcome | None = None
    details: Details | None = None

    @property
    def title(self) -> str:
        """The stage, and which attempt it is unless it is the first."""
        again = f", attempt {self.attempt}" if self.attempt > 1 else ""
        return f"{self.stage.value}{again}"

    @property
    def work(self) -> str:
        """The command."""
        return self.stage.value

    def last_word(self, uid: str) -> Outcome | None:
        """Its outcome, if it speaks for this very attempt."""
        said = self.outcome
        if said is None:
            return None
        told = (said.uid, said.run, said.stage, said.attempt)
        return said if told == (uid, self.run, self.stage, self.attempt) else None

    def failure(self, uid: str) -> Failed | None:
        """Why it did not do its work; None when it did."""
        return self.why_failed(self.last_word(uid))
