"""Reads a job file from disk and sorts its objects."""

from dataclasses import dataclass
from pathlib import Path

from controller.api.basemodel import BaseModelObject
from controller.api.documents import decode, parse
from controller.api.finetunejob import FineTuneJob
from controller.errors import Problem, SpecError, UserError

MAX_FILE_BYTES = 4 << 20


@dataclass(frozen=True)
class JobFile:
    """The jobs of a file, and the base models that they may name."""

    jobs: tuple[FineTuneJob, ...]
    base_models: dict[tuple[str, str], BaseModelObject]

    def needed(self) -> list[BaseModelObject]:
        """The base models that a job names, in the order of the file; all, where there is none."""
        named = {_key(job) for job in self.jobs}
        known = self.base_models.items()
        return [base for key, base in known if key in named or not self.jobs]


def read_job_file(path: Path, *, needs_job: bool = True) -> JobFile:
    """Read, parse and check that every reference is answered.

    Raises:
        UserError: it cannot be read, or something in it is wrong.
    """
    text = decode(_bytes(path), file=str(path))
    documents = parse(text, file=str(path), base=str(path.absolute().parent))
    jobs = tuple(document for document in documents if isinstance(document, FineTuneJob))
    bases = {
        (document.metadata.namespace, document.metadata.name): document
        for document in documents
        if isinstance(document, BaseModelObject)
    }
    problems = [_missing(path, job) for job in jobs if _key(job) not in {None, *bases}]
    if not jobs and (needs_job or not bases):
        problems = [Problem(str(path), "has no FineTuneJob; add one")]
    if problems:
        raise SpecError(problems)
    return JobFile(jobs, bases)


def _key(job: FineTuneJob) -> tuple[str, str] | None:
    name = job.spec.base_model.name
    return None if name is None else (job.metadata.namespace, name)


def _missing(path: Path, job: FineTuneJob) -> Problem:
    name, namespace = job.spec.base_model.name, job.metadata.namespace
    message = (
        f"names BaseModel {name}, and the file has none of that name in namespace {namespace}; "
        "add it to the file"
    )
    return Problem(f"{path} spec.baseModel.name", message)


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UserError(str(path), f"cannot be read: {error.strerror or error}") from None
    if len(data) > MAX_FILE_BYTES:
        raise UserError(str(path), f"is larger than {MAX_FILE_BYTES} bytes; no job file is")
    return data
