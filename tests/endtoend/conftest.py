"""Folders in which the whole command runs; the slow parts are made once."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders.whole_run import Desk, a_base_model, finished


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
def first_run(tmp_path_factory, bytecode: Path, tiny_base: Path) -> Desk:
    """A desk on which the job ran to its end; nobody may change it."""
    desk = Desk(tmp_path_factory.mktemp("first"), bytecode).laid_out(tiny_base)
    ended = desk.tunekeeper("run", "job.yaml", "--output-status", "status.yaml")
    assert ended.returncode == 0, ended.stderr
    (desk.root / "stdout").write_text(ended.stdout)
    return desk
