"""Asks the trainer for the history of an output, the difference of two runs, a verification."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from controller.errors import UserError
from controller.local.answers import OnLine, ask, ignore, storage_options, unreadable
from controller.local.cluster import TRAINER
from controller.local.files import read_job_file
from trainer.contract.base import Wire
from trainer.contract.lineage import Diff, History, Verification, VerifyProgress
from trainer.contract.source import Storage

JOB_FILES = frozenset({".yaml", ".yml"})
VERIFIED = frozenset({0, 2})

Document = TypeVar("Document", bound=Wire)


@dataclass(frozen=True)
class Found(Generic[Document]):
    """An answer: parsed for people, and as it came for programs."""

    shown: Document
    document: dict[str, Any]


@dataclass(frozen=True)
class Target:
    """A place, and how it is reached."""

    uri: str
    storage: Storage | None = None


def read_target(named: str) -> Target:
    """A job file's output, a URI, or a directory.

    Raises:
        UserError: the job file is wrong, or has more than one job.
    """
    path = Path(named)
    if "://" in named:
        return Target(named)
    if path.suffix not in JOB_FILES or path.is_dir():
        return Target(path.absolute().as_uri())
    jobs = read_job_file(path).jobs
    if len(jobs) > 1:
        names = ", ".join(job.metadata.name for job in jobs)
        message = f"has {len(jobs)} jobs ({names}); give the output's URI of one of them"
        raise UserError(named, message)
    output = jobs[0].spec.output
    return Target(output.uri, output.storage)


def fetch_history(
    target: Target, *, html: Path | None = None, command: Sequence[str] = TRAINER
) -> Found[History]:
    """Every run of an output; ``html``: also as a page.

    Raises:
        AnswerError: there is none, or it cannot be read.
    """
    page = ["--html", str(html.absolute())] if html else []
    question = ["history", *storage_options(target.storage), *page, target.uri]
    return _parsed(History, ask(command, question, about=target.uri), target.uri)


def fetch_diff(
    a: str, b: str, *, output: Target | None, command: Sequence[str] = TRAINER
) -> Found[Diff]:
    """Two runs side by side.

    Raises:
        AnswerError: one of them is not there, or cannot be read.
    """
    place = ["--output", output.uri] if output else []
    storage = storage_options(output.storage if output else None)
    document = ask(command, ["diff", *storage, *place, a, b], about=f"{a} and {b}")
    return _parsed(Diff, document, f"{a} and {b}")


def fetch_verification(
    target: Target,
    *,
    tell: Callable[[VerifyProgress], None] | None = None,
    command: Sequence[str] = TRAINER,
) -> Found[Verification]:
    """Whether everything there is what its manifests say.

    Raises:
        AnswerError: there is nothing, or it cannot be read.
    """
    question = ["verify", "--progress", *storage_options(target.storage), target.uri]
    on_line = _listening(tell) if tell else ignore
    document = ask(command, question, about=target.uri, accepted=VERIFIED, on_line=on_line)
    return _parsed(Verification, document, target.uri)


def _listening(tell: Callable[[VerifyProgress], None]) -> OnLine:
    def heard(line: str) -> bool:
        try:
            tell(VerifyProgress.model_validate_json(line))
        except ValidationError:
            return False
        return True

    return heard


def _parsed(kind: type[Document], document: dict[str, Any], about: str) -> Found[Document]:
    try:
        return Found(kind.model_validate(document), document)
    except ValidationError:
        raise unreadable(about) from None
