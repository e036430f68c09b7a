"""A session whose stages are real processes of the fake trainer."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders.job_files import BASE, fake_command, job_text
from rich.console import Console

from controller.core.observed import Settings
from controller.local.ends import End
from controller.local.files import read_job_file
from controller.local.session import Session

RunJobs = Callable[..., tuple[list[End], str]]


@pytest.fixture
def run_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunJobs:
    """Run a file's jobs with a plan for the stages; returns the ends and what was printed."""

    def run(text: str = "", plan: dict[str, Any] | None = None, **fields: Any) -> Any:
        monkeypatch.setenv("FAKE_PLAN", json.dumps(plan or {}))
        file = tmp_path / "job.yaml"
        file.write_text(text or job_text())
        jobs = read_job_file(file)
        printed = io.StringIO()
        environ = {"XDG_STATE_HOME": str(tmp_path / "s"), "XDG_CACHE_HOME": str(tmp_path / "c")}
        session = Session(
            Console(file=printed, width=100),
            jobs.base_models,
            command=fake_command(),
            environ=environ,
            settings=Settings(retry_base_s=0.01, waits_heal=False),
            **fields,
        )
        return session.run(jobs.jobs), printed.getvalue()

    return run


@pytest.fixture
def two_jobs() -> str:
    return job_text("first") + "---\n" + job_text("second", "{name: smol}") + BASE
