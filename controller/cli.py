"""The ``tunekeeper`` command: run, check, report, history, diff, verify, crd.

Exit codes: 0 finished with any verdict (or the file is fine), 2 the user's error, 1 ours or
``--fail-unless promoted`` and it was not, 130 interrupted. Results go to standard output,
everything else to standard error; with ``--json`` standard output is one JSON document.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.text import Text

from controller.api.basemodel import BaseModelObject
from controller.api.crd import crd_documents
from controller.errors import UserError
from controller.local.answers import AnswerError
from controller.local.cluster import TRAINER
from controller.local.ends import BaseEnd, End, Exit, worst
from controller.local.files import JobFile, read_job_file
from controller.local.lineage import (
    Target,
    fetch_diff,
    fetch_history,
    fetch_verification,
    read_target,
)
from controller.local.programs import missing_programs
from controller.local.reports import fetch_report
from controller.local.session import Session
from controller.local.statusfile import StatusFile
from controller.local.view import figures
from controller.local.view.basemodels import show_base_models, show_look_failure
from controller.local.view.diff import show_diff
from controller.local.view.ends import show_check, show_end
from controller.local.view.history import show_history
from controller.local.view.verdict import show_report
from controller.local.view.verify import show_verification, verify_bar
from trainer.contract.request import Stage

app = typer.Typer(
    help="Fine-tune a small model, and prove that it was worth it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

COMMAND_ENV = "TUNEKEEPER_TRAINER"
"""Another command than ``python -m trainer``, as a JSON list: for tests and debuggers."""

JobFileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="Jobs and base models.")]
OF_A_JOB = "Output of a job: its URI or directory, or the job's file."
A_RUN = "Id of a run, or a beginning of it; or the run's URI."
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


class PlainDumper(yaml.SafeDumper):
    """Writes what is shared out again: anchors are hard to read."""

    def ignore_aliases(self, data: object) -> bool:
        """Always."""
        del data
        return True


class Requirement(StrEnum):
    """What ``--fail-unless`` asks for."""

    PROMOTED = "promoted"


def main() -> None:
    """Run the command; ours is every failure that was not foreseen."""
    try:
        app()
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise SystemExit(complain([f"{place}{error.strerror or error}"], Exit.OURS)) from None


@app.command()
def run(
    file: JobFileArgument,
    output_status: Annotated[
        Path | None, typer.Option(help="Write the jobs with their status to this YAML file.")
    ] = None,
    fail_unless: Annotated[
        Requirement | None, typer.Option(help="Exit with 1 when a job does not reach this.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look at the base models of FILE, then run its jobs on this machine, one after the other."""
    jobs = opened(file, needs_job=False)
    missing = [str(problem) for problem in missing_programs(file, jobs.jobs)]
    if missing:
        raise typer.Exit(complain(missing, Exit.USERS))
    session = a_session(jobs)
    session.status_file = StatusFile(output_status) if output_status else None
    out = Console(stderr=as_json)
    bases = looked(session, jobs.needed(), as_json=as_json)
    if not jobs.jobs:
        show_base_models(out, bases)
    ends = [with_report(end) for end in session.run(jobs.jobs)]
    for end in ends:
        show_end(out, Console(stderr=True), end)
    if as_json:
        print_json(documents(ends, bases))
    was_cut = len(ends) < len(jobs.jobs)
    code = Exit.INTERRUPTED if was_cut else worst([end.code for end in ends])
    if code is Exit.DONE and fail_unless and not all(end.is_promoted for end in ends):
        code = complain(["--fail-unless promoted: the adapter in use is not this run's"], Exit.OURS)
    raise typer.Exit(int(code))


@app.command()
def check(file: JobFileArgument, as_json: JsonOption = False) -> None:
    """Check FILE and its data: the data report, the resolved plan, the estimate."""
    jobs = opened(file)
    session = a_session(jobs)
    session.last_stage = Stage.PREPARE
    out = Console(stderr=as_json)
    bases = looked(session, jobs.needed(), as_json=as_json, writes=False)
    ends = session.run(jobs.jobs)
    for end in ends:
        show_check(out, Console(stderr=True), end)
    for problem in missing_programs(file, jobs.jobs):  # a cluster's image may have it
        Console(stderr=True).print(Text(f"note: {problem}"), soft_wrap=True)
    if as_json:
        print_json(documents(ends, bases))
    raise typer.Exit(int(worst([end.code for end in ends])))


@app.command()
def report(
    target: Annotated[str, typer.Argument(metavar="FILE|URI|DIR", help=OF_A_JOB)],
    html: Annotated[bool, typer.Option("--html", help="Print where report.html is.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the newest report below an output."""
    place = target_of(target)
    with answering():
        found = fetch_report(place.uri, command=trainer_command(), storage=place.storage)
    if as_json:
        print_json(found.document)
    elif html:
        typer.echo(figures.local_path(found.shown.judgement.report_uri))
    else:
        show_report(Console(), found.shown)


@app.command()
def history(
    target: Annotated[str, typer.Argument(metavar="FILE|URI|DIR", help=OF_A_JOB)],
    html: Annotated[
        Path | None, typer.Option("--html", metavar="PAGE", help="Also write it as one page.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show every run of an output: why it was made, its verdict, what was in use when."""
    with answering():
        found = fetch_history(target_of(target), html=html, command=trainer_command())
    if as_json:
        print_json(found.document)
    else:
        show_history(Console(), found.shown)


@app.command()
def diff(
    a: Annotated[str, typer.Argument(metavar="RUN", help=A_RUN)],
    b: Annotated[str, typer.Argument(metavar="RUN", help="The run to compare it with.")],
    output: Annotated[
        str | None, typer.Option("--output", metavar="FILE|URI|DIR", help=OF_A_JOB)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show two runs side by side: scores, answers that changed, spec, data, base model."""
    with answering():
        place = target_of(output) if output else None
        found = fetch_diff(a, b, output=place, command=trainer_command())
    if as_json:
        print_json(found.document)
    else:
        show_diff(Console(), found.shown)


@app.command()
def verify(
    target: Annotated[
        str, typer.Argument(metavar="FILE|URI|DIR", help="Output of a job, or one run of it.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Hash everything that manifests vouch for; exit with 2 when something does not match."""
    place = target_of(target)
    with answering(), verify_bar(Console(stderr=True)) as tell:
        found = fetch_verification(place, tell=tell, command=trainer_command())
    if as_json:
        print_json(found.document)
    else:
        show_verification(Console(), found.shown)
    raise typer.Exit(int(Exit.DONE if found.shown.ok else Exit.USERS))


@app.command()
def crd(as_json: JsonOption = False) -> None:
    """Print the CustomResourceDefinitions, for ``kubectl apply``."""
    documents = crd_documents()
    if as_json:
        print_json(documents)
    else:
        typer.echo(yaml.dump_all(documents, Dumper=PlainDumper, sort_keys=False), nl=False)


def opened(file: Path, *, needs_job: bool = True) -> JobFile:
    """The objects of the file, or every problem in it and exit code 2."""
    try:
        return read_job_file(file, needs_job=needs_job)
    except UserError as error:
        problems = [str(problem) for problem in error.problems]
        raise typer.Exit(complain(problems, Exit.USERS)) from None


def target_of(named: str) -> Target:
    """The place that was named, or every problem of the job file and exit code 2."""
    try:
        return read_target(named)
    except UserError as error:
        problems = [str(problem) for problem in error.problems]
        raise typer.Exit(complain(problems, Exit.USERS)) from None


@contextmanager
def answering() -> Iterator[None]:
    """Where the trainer is asked: why there is no answer, and the exit code."""
    try:
        yield
    except AnswerError as error:
        raise typer.Exit(complain([str(error)], Exit(error.code))) from None


def a_session(jobs: JobFile) -> Session:
    """A session that shows its progress on standard error."""
    return Session(Console(stderr=True), jobs.base_models, command=trainer_command())


def looked(
    session: Session, bases: Sequence[BaseModelObject], *, as_json: bool, writes: bool = True
) -> list[BaseEnd]:
    """The base models with what was found; the first that cannot be used ends the command."""
    ends = session.look(bases, writes=writes)
    failed = next((end for end in ends if end.code is not Exit.DONE), None)
    if failed is None:
        return ends
    if as_json:
        print_json(documents([], ends))
    show_look_failure(Console(stderr=True), failed)
    raise typer.Exit(int(failed.code))


def documents(ends: Sequence[End], bases: Sequence[BaseEnd]) -> dict[str, Any]:
    """For ``--json``."""
    return {
        "baseModels": [base.document() for base in bases],
        "jobs": [end.document() for end in ends],
    }


def with_report(end: End) -> End:
    """The end with its report, where a run was judged."""
    judged = end.job.status.evaluation
    if judged is None or end.code is not Exit.DONE:
        return end
    output = end.job.spec.output
    try:
        found = fetch_report(output.uri, command=trainer_command(), storage=output.storage)
        return end.reported(found)
    except AnswerError as error:
        complain([str(error)], Exit.OURS)
        return end


def trainer_command() -> Sequence[str]:
    """How a stage is started."""
    given = os.environ.get(COMMAND_ENV)
    return tuple(json.loads(given)) if given else TRAINER


def print_json(document: Any) -> None:  # noqa: ANN401 - any JSON
    """For programs."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def complain(messages: Sequence[str], code: Exit) -> Exit:
    """``error: place: message`` on standard error, one line each."""
    console = Console(stderr=True)
    for message in messages:
        line = Text("error: ", style="bold red").append(message, style="not bold default")
        console.print(line, soft_wrap=True)
    return code
