"""How a local run ended, as the exit code of the command and as a document for programs."""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

from controller.api.basemodel import BaseModelObject, ErrandFailure
from controller.api.conditions import ConditionType
from controller.api.finetunejob import FineTuneJob
from controller.api.wire import to_document
from controller.core.conditions import State, find, is_true
from controller.core.failures import RULES
from controller.core.watching.failures import REMEDIES, is_users
from controller.local.reports import FoundReport
from controller.local.watching import failure_of


class Exit(IntEnum):
    """The exit codes of the command."""

    DONE = 0
    """Finished, with any verdict."""
    OURS = 1
    """An outage, a full disk, a bug; or ``--fail-unless promoted`` and it is not in use."""
    USERS = 2
    """The file, the data or the set-up is wrong; the message says what to change."""
    INTERRUPTED = 130
    """Ctrl-C; the same command goes on from the checkpoint."""


@dataclass(frozen=True)
class End:
    """One job's end."""

    job: FineTuneJob
    code: Exit
    was_interrupted: bool = False
    log: str = ""
    report: FoundReport | None = None

    @property
    def is_promoted(self) -> bool:
        """Whether the adapter in use now is this run's, whatever the newest verdict on it is.

        A run that was promoted and is then judged Inconclusive by a stricter threshold is still
        what people get, so it counts; one that passed and is not in use, because another is
        pinned or approval is awaited, does not.
        """
        promoted, run = self.job.status.promoted, self.job.status.run
        return promoted is not None and run is not None and promoted.run_id == run.id

    @property
    def message(self) -> str:
        """What went wrong, in the words of the stage or the core."""
        stalled = find(self.job.status.conditions, ConditionType.STALLED)
        return stalled.message if stalled is not None else ""

    def reported(self, report: FoundReport) -> "End":
        """With its report."""
        return replace(self, report=report)

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "namespace": self.job.metadata.namespace,
            "name": self.job.metadata.name,
            "exitCode": int(self.code),
            "promoted": self.is_promoted,
            "status": to_document(self.job.status),
            "report": self.report.document if self.report else None,
        }


@dataclass(frozen=True)
class BaseEnd:
    """What one base model came to."""

    base: BaseModelObject
    code: Exit
    log: str = ""

    @property
    def message(self) -> str:
        """What its condition Ready says."""
        ready = find(self.base.status.conditions, ConditionType.READY)
        failure = failure_of(self.base.status)
        if failure is not None:
            return f"BaseModel {self.base.metadata.name}: {failure_message(failure)}"
        return f"BaseModel {self.base.metadata.name}: {ready.message if ready else 'not looked at'}"

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "namespace": self.base.metadata.namespace,
            "name": self.base.metadata.name,
            "exitCode": int(self.code),
            "status": to_document(self.base.status),
        }


def failure_message(failure: ErrandFailure) -> str:
    """In its own words and with the remedy; nobody tries it again by itself here."""
    remedy = REMEDIES.get(failure.reason, "")
    parts = [failure.message or failure.reason]
    parts += [remedy] if remedy and remedy not in failure.message else []
    return "; ".join(parts)


def exit_of_look(base: BaseModelObject, *, was_interrupted: bool) -> Exit:
    """Whose fault it was that there is no revision, or that it was not written back."""
    failure = failure_of(base.status)
    if was_interrupted:
        return Exit.INTERRUPTED
    if failure is not None:
        return Exit.USERS if is_users(failure.reason) else Exit.OURS
    return Exit.DONE if base.status.latest is not None else Exit.USERS  # suspended, or refused


def exit_of(job: FineTuneJob, *, was_interrupted: bool) -> Exit:
    """Whose fault it was, by the table of failure classes."""
    status = job.status
    if status.phase == State.FAILED:
        failure = status.run.failure if status.run else ""
        is_users = RULES[failure].users if failure else True
        return Exit.USERS if is_users else Exit.OURS
    if was_interrupted:
        return Exit.INTERRUPTED
    is_held = status.phase == State.SUSPENDED or is_true(status.conditions, ConditionType.STALLED)
    return Exit.USERS if is_held else Exit.DONE  # Stalled: a pin that cannot be followed


def worst(codes: list[Exit]) -> Exit:
    """The code of several jobs: an interruption, then our failure, then the user's."""
    order = (Exit.DONE, Exit.USERS, Exit.OURS, Exit.INTERRUPTED)
    return max(codes, key=order.index, default=Exit.DONE)
