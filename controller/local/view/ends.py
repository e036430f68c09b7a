"""What is shown when a job has ended: its report, or what was wrong and what to do."""

from rich.console import Console
from rich.text import Text

from controller.api.conditions import ConditionType
from controller.api.finetunejob import FineTuneJob
from controller.api.reasons import Reason
from controller.core.conditions import State, find
from controller.local.ends import End, Exit
from controller.local.view.plan import data_errors, show_plan
from controller.local.view.report import ShownReport
from controller.local.view.verdict import show_report
from trainer.contract.outcome import Cost, DataReport


def show_end(console: Console, errors: Console, end: End) -> None:
    """The end of ``run``: a result, or on ``errors`` why there is none."""
    job = end.job
    if end.code is Exit.DONE:
        console.print(Text(f"\n{title(job)}", style="bold"))
        trained = find(job.status.conditions, ConditionType.TRAINED)
        if trained is not None and trained.reason is Reason.ALREADY_TRAINED:
            console.print(Text(f"AlreadyTrained: {trained.message}; nothing was trained again"))
        shown = end.report.shown if end.report else shown_status(job)
        if shown is not None:
            show_report(console, shown)
        return
    for part in data_errors(job.status.data) if job.status.data else ():
        errors.print(part)
    show_failure(errors, end)


def show_check(console: Console, errors: Console, end: End) -> None:
    """The end of ``check``: what was found, also where it is not good enough."""
    console.print(Text(f"\n{title(end.job)}", style="bold"))
    show_plan(console, end.job.status)
    if end.code is not Exit.DONE:
        show_failure(errors, end)


def show_failure(console: Console, end: End) -> None:
    """What was wrong, where, and what to do next."""
    status = end.job.status
    if end.code is Exit.INTERRUPTED:
        console.print(Text("interrupted; the same command goes on from the last checkpoint"))
        return
    if status.phase == State.SUSPENDED:
        console.print(error_line("spec.suspend: is true, so nothing was run; set it to false"))
        return
    console.print(error_line(end.message), soft_wrap=True)
    if end.log and (end.code is Exit.OURS or "stage's log" in end.message):
        console.print(Text(f"log: {end.log}"), soft_wrap=True)


def error_line(message: str) -> Text:
    """``error: place: message``."""
    return Text("error: ", style="bold red").append(message, style="not bold default")


def title(job: FineTuneJob) -> str:
    """Which job and run."""
    run = job.status.run
    which = f", run {run.id}" if run is not None and run.id else ""
    return f"{job.metadata.namespace}/{job.metadata.name}{which}"


def shown_status(job: FineTuneJob) -> ShownReport | None:
    """What the status alone can show, when the report itself cannot be had."""
    status = job.status
    if status.evaluation is None:
        return None
    return ShownReport(
        namespace=job.metadata.namespace,
        name=job.metadata.name,
        judgement=status.evaluation,
        data=status.data or DataReport(),
        resolved=status.resolved,
        cost=Cost.model_validate(status.cost.model_dump(include=set(Cost.model_fields)))
        if status.cost
        else Cost(),
    )
