"""Asks the trainer, as a process, for the report of an output."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from controller.local.answers import AnswerError, ask, storage_options
from controller.local.cluster import TRAINER
from controller.local.view.report import ShownReport
from trainer.contract.source import Storage


@dataclass(frozen=True)
class FoundReport:
    """A report: parsed for people, and as it came for programs."""

    shown: ShownReport
    document: dict[str, Any]


def fetch_report(
    target: str, *, command: Sequence[str] = TRAINER, storage: Storage | None = None
) -> FoundReport:
    """The newest report below a URI or directory.

    Args:
        target: The URI or directory.
        command: How the trainer is started.
        storage: How a job reaches an object store; None: the environment says.

    Raises:
        AnswerError: there is none, or the answer is not a report.
    """
    question = ["report", "--json", *storage_options(storage), target]
    document = ask(command, question, about=target)
    try:
        return FoundReport(ShownReport.model_validate(document), document)
    except ValidationError:
        message = f"{target}: the report is not one that this release reads"
        raise AnswerError(message, 1) from None
