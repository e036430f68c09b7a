"""Whether the programs that jobs name are on this machine: asked before anything is started."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from controller.api.finetunejob import FineTuneJob
from controller.errors import Problem


def missing_programs(file: Path, jobs: Sequence[FineTuneJob]) -> Iterator[Problem]:
    """Each grader that could not be started here, or whose script beside the file is not there."""
    beside = f"{file.absolute().parent}/"
    for job in jobs:
        grader = job.spec.evaluation.grader
        if grader is None:
            continue
        program, *arguments = grader.command
        place = f"{file} spec.evaluation.grader.command"
        if not _is_program(program):
            message = (
                f"names {program}, and this machine has no such program; give the path of one, or "
                "./name for one beside the file"
            )
            yield Problem(place, message)
        for script in arguments[:1]:
            if script.startswith(beside) and not Path(script).exists():
                yield Problem(place, f"names {script}, which is not there; correct the path")


def _is_program(name: str) -> bool:
    """A stage has a working directory of its own, so a relative path leads nowhere there."""
    is_relative = "/" in name and not name.startswith("/")
    return not is_relative and shutil.which(name) is not None
