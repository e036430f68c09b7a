"""Asks the trainer, as a process, for the report of an output."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from controller.local.cluster import TRAINER
from controller.local.view.report import ShownReport
from trainer.contract.source import Storage

TIMEOUT_S = 300


class ReportError(Exception):
    """There is no report, or it cannot be read; ``code`` is the exit code that says whose fault."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


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
        ReportError: there is none, or the answer is not a report.
    """
    try:
        ended = subprocess.run(  # noqa: S603 - our own interpreter, no shell
            [*command, "report", "--json", *_options(storage), target],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ReportError(f"{target}: the report cannot be read: {error}", 1) from None
    if ended.returncode:
        said = [line for line in ended.stderr.splitlines() if line.strip()]
        reason = said[-1].removeprefix("error: ") if said else f"exit code {ended.returncode}"
        raise ReportError(reason, 2 if ended.returncode in USERS_CODES else 1)
    return _parse(target, ended.stdout)


def _options(storage: Storage | None) -> list[str]:
    if storage is None or storage == Storage():
        return []
    return ["--storage", storage.model_dump_json(exclude_none=True)]


USERS_CODES = frozenset({2, *range(10, 18)})
"""Exit codes of the trainer that say: the user's error."""


def _parse(target: str, text: str) -> FoundReport:
    try:
        document = json.loads(text)
        return FoundReport(ShownReport.model_validate(document), document)
    except (ValueError, ValidationError):
        raise ReportError(f"{target}: the report is not one that this release reads", 1) from None
