"""A stage that does not heed its limit is ended from outside, here as on a cluster."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from builders.job_files import fake_command
from builders.jobs import UID, Scene

from controller.core.actions import StartStage
from controller.core.children import Child, ChildState
from controller.local.cluster import ProcessCluster
from controller.local.process import Places
from trainer.contract.failures import FailureClass

PATIENCE_S = 30


async def ended(root: Path, backstop_s: int | None, *, kill: bool = False) -> Child:
    """A stage that waits for SIGTERM, at its end."""
    (action,) = Scene().stepped().decided().actions
    assert isinstance(action, StartStage)
    places = Places(root / "logs", root / "scratch", root / "cache")
    cluster = ProcessCluster(
        places, clock=lambda: datetime.now(UTC), command=fake_command(), grace_s=PATIENCE_S
    )
    try:
        await cluster.apply([StartStage(action.name, action.request, backstop_s=backstop_s)])
        if kill:
            cluster.kill()
        async with asyncio.timeout(PATIENCE_S):
            while cluster.children(UID)[0].state is not ChildState.FINISHED:
                await cluster.wait(PATIENCE_S)
        return cluster.children(UID)[0]
    finally:
        await cluster.close()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("FAKE_PLAN", '{"prepare": [{"do": "wait"}]}')
    return tmp_path


def test_it_is_told_to_stop_and_fails_by_the_deadline(waits: Path) -> None:
    child = asyncio.run(ended(waits, 1))
    told = child.failure(UID)
    assert told is not None
    assert told[0] is FailureClass.DEADLINE_EXCEEDED
    assert told[1].startswith("ended at its backstop")


def test_one_that_ends_before_its_backstop_is_not_overdue(waits: Path) -> None:
    child = asyncio.run(ended(waits, 600, kill=True))
    assert not child.is_overdue
