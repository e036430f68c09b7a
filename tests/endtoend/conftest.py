"""Folders in which the whole command runs; the slow parts are made once, side by side."""

import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from builders.whole_run import Desk, Ended, a_base_model, finished

Done = tuple[Desk, list[Ended]]


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("bytecode")


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory) -> Path:
    return a_base_model(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture
def desk(tmp_path: Path, bytecode: Path, tiny_base: Path) -> Desk:
    """A job that was never run."""
    return Desk(tmp_path, bytecode).laid_out(tiny_base)


@pytest.fixture(scope="session")
def long_runs(tmp_path_factory, bytecode, tiny_base) -> Iterator[dict[str, "Future[Done]"]]:
    """What takes long, two at a time; tests ask for the results."""

    def started(work: Callable[[Desk], list[Ended]]) -> "Future[Done]":
        desk = Desk(tmp_path_factory.mktemp(work.__name__), bytecode)
        desk.laid_out(tiny_base, shared=True)  # an adapter's digest covers the base's path
        return pool.submit(lambda: (desk, work(desk)))

    with ThreadPoolExecutor(2) as pool:
        works = (first, interrupted, not_needed, beaten, limited)
        yield {work.__name__: started(work) for work in works}


def first(desk: Desk) -> list[Ended]:
    """A run to its end."""
    return [desk.tunekeeper("run", "job.yaml", "--output-status", "status.yaml")]


def interrupted(desk: Desk) -> list[Ended]:
    """Ctrl-C while it trains, then the same command again."""
    command = desk.start("run", "job.yaml")
    assert command.stderr is not None
    lines = iter(command.stderr.readline, "")
    told = next((line for line in lines if line == "  training\n"), None)
    assert told, "the run ended before it trained"
    command.send_signal(signal.SIGINT)
    return [finished(command), desk.tunekeeper("run", "job.yaml")]


def not_needed(desk: Desk) -> list[Ended]:
    """A base arm is good enough before anything is trained."""
    desk.write_job(evaluation={"whenNotNeeded": "Stop", "targetScore": "0"})
    return [desk.tunekeeper("run", "job.yaml", "--json", "--output-status", "status.yaml")]


def beaten(desk: Desk) -> list[Ended]:
    """The answer of the nearest row has to be beaten, and is not."""
    desk.write_job(evaluation={"arms": [{"name": "ZeroShot"}, {"name": "NearestRow"}]})
    return [desk.tunekeeper("run", "job.yaml", "--fail-unless", "promoted")]


def limited(desk: Desk) -> list[Ended]:
    """A training that would take hours, under a deadline; then a look at what is there."""
    desk.write_job(training={"epochs": 2000})
    desk.edit_job("    gpus: 0\n", "    gpus: 0\n  activeDeadlineSeconds: 90\n")
    ended = desk.tunekeeper("run", "job.yaml", "--output-status", "status.yaml")
    return [ended, desk.tunekeeper("check", "job.yaml", "--json")]


@pytest.fixture(scope="session")
def first_run(long_runs) -> Desk:
    """A desk on which the job ran to its end; nobody may change it."""
    desk, (ended,) = long_runs["first"].result()
    assert ended.returncode == 0, ended.stderr
    return desk


@pytest.fixture
def run_again(tmp_path: Path, first_run: Desk) -> Desk:
    """A copy of that desk, without its logs."""
    shutil.copytree(
        first_run.root, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("state")
    )
    return Desk(tmp_path, first_run.bytecode)
