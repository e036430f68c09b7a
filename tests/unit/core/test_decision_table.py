"""Every cell of: where a run stands, times what the spec asks for, times what else is there.

The tables are written by hand: what is done, the phase with its reason, and the recorded attempt.
"""

import pytest
from builders.cells import CHILDREN, OLD, SPECS, STATES, decided, ended
from builders.jobs import Scene

from controller.api.conditions import ConditionType
from controller.core.actions import StartStage, StopStage
from controller.core.conditions import TABLE as ROWS
from controller.core.conditions import State, find

TABLE = """
none      | same       | - Running/Preparing 1.prepare.1
none      | identity   | - Running/Preparing 1.prepare.1
none      | generation | - Running/Preparing 1.prepare.1
none      | judge      | - Running/Preparing 1.prepare.1
none      | suspended  | - Suspended/Suspended -
none      | invalid    | - Failed/InvalidSpec -
none      | pin        | - Running/Preparing 1.prepare.1
recorded  | same       | start 1.train.1 Running/Training 1.train.1
recorded  | identity   | - Running/Preparing 2.prepare.1
recorded  | generation | - Running/Training 1.train.1
recorded  | judge      | - Running/Training 1.train.1
recorded  | suspended  | - Suspended/Suspended 1.train.1
recorded  | invalid    | - Failed/InvalidSpec 1.train.1
recorded  | pin        | start 1.train.1 Running/Training 1.train.1
pending   | same       | - Running/Training 1.train.1
pending   | identity   | stop Pending/Stopping 2.prepare.1
pending   | generation | stop Running/Training 1.train.1
pending   | judge      | stop Running/Training 1.train.1
pending   | suspended  | stop Suspended/Suspended 1.train.1
pending   | invalid    | stop Failed/InvalidSpec 1.train.1
pending   | pin        | - Running/Training 1.train.1
running   | same       | - Running/Training 1.train.1
running   | identity   | stop Pending/Stopping 2.prepare.1
running   | generation | - Running/Training 1.train.1
running   | judge      | - Running/Training 1.train.1
running   | suspended  | stop Suspended/Suspended 1.train.1
running   | invalid    | stop Failed/InvalidSpec 1.train.1
running   | pin        | - Running/Training 1.train.1
stopping  | same       | - Pending/Stopping 1.train.1
stopping  | identity   | - Pending/Stopping 2.prepare.1
stopping  | generation | - Pending/Stopping 1.train.1
stopping  | judge      | - Pending/Stopping 1.train.1
stopping  | suspended  | - Suspended/Suspended 1.train.1
stopping  | invalid    | - Failed/InvalidSpec 1.train.1
stopping  | pin        | - Pending/Stopping 1.train.1
prepared  | same       | - Running/Training 1.train.1
prepared  | identity   | - Running/Preparing 2.prepare.1
prepared  | generation | - Running/Training 1.train.1
prepared  | judge      | - Running/Training 1.train.1
prepared  | suspended  | - Suspended/Suspended 1.train.1
prepared  | invalid    | - Failed/InvalidSpec 1.prepare.1
prepared  | pin        | - Running/Training 1.train.1
trained   | same       | - Running/Judging 1.judge.1
trained   | identity   | - Running/Preparing 2.prepare.1
trained   | generation | - Running/Training 1.train.2
trained   | judge      | - Running/Judging 1.judge.1
trained   | suspended  | - Suspended/Suspended 1.judge.1
trained   | invalid    | - Failed/InvalidSpec 1.train.1
trained   | pin        | - Running/Judging 1.judge.1
judged    | same       | - Succeeded/Promote 1.judge.1
judged    | identity   | - Running/Preparing 2.prepare.1
judged    | generation | - Running/Training 1.train.2
judged    | judge      | - Running/Judging 1.judge.2
judged    | suspended  | - Succeeded/Promote 1.judge.1
judged    | invalid    | - Failed/InvalidSpec 1.judge.1
judged    | pin        | - Running/Judging 1.judge.2
succeeded | same       | - Succeeded/Promote 1.judge.1
succeeded | identity   | - Running/Preparing 2.prepare.1
succeeded | generation | - Running/Training 1.train.2
succeeded | judge      | - Running/Judging 1.judge.2
succeeded | suspended  | - Succeeded/Promote 1.judge.1
succeeded | invalid    | - Failed/InvalidSpec 1.judge.1
succeeded | pin        | - Running/Judging 1.judge.2
failed    | same       | - Failed/Diverged 1.train.1
failed    | identity   | - Running/Preparing 2.prepare.1
failed    | generation | - Running/Training 1.train.2
failed    | judge      | - Running/Training 1.train.2
failed    | suspended  | - Failed/Diverged 1.train.1
failed    | invalid    | - Failed/InvalidSpec 1.train.1
failed    | pin        | - Running/Judging 1.judge.1
"""
"""Nothing else is there."""

OF_A_FAILURE = """
never | same       | - Failed/CLASS 1.train.1
never | identity   | - Running/Preparing 2.prepare.1
never | generation | - Running/Training 1.train.2
never | judge      | - Running/Training 1.train.2
never | suspended  | - Failed/CLASS 1.train.1
never | invalid    | - Failed/InvalidSpec 1.train.1
never | pin        | - Running/Judging 1.judge.1
again | same       | - Pending/CLASS 1.train.2
again | identity   | - Running/Preparing 2.prepare.1
again | generation | - Running/Training 1.train.2
again | judge      | - Running/Training 1.train.2
again | suspended  | - Suspended/Suspended 1.train.2
again | invalid    | - Failed/InvalidSpec 1.train.1
again | pin        | - Pending/CLASS 1.train.2
"""
"""The train stage has ended with CLASS, and nobody has looked."""

CLASSES = {
    "never": """InvalidSpec InvalidData TestTooSmall OutputInUse ConditionalWritesUnsupported
    HostOutOfMemory HostStorageExceeded GpuOutOfMemory Diverged DeadlineExceeded BudgetExceeded
    Superseded""",
    "again": """Unavailable NoProgress Unexpected Interrupted Preempted Evicted NodeLost JobLost
    SecretNotFound AccessDenied NotFound""",
}


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]


def cells() -> dict[tuple[str, str], str]:
    """What is expected where nothing else is there, by state and spec."""
    found = {(state, spec): result for state, spec, result in rows(TABLE)}
    for group, spec, result in rows(OF_A_FAILURE):
        for kind in CLASSES[group].split():
            found[kind, spec] = result.replace("CLASS", kind)
    return found


CELLS = cells()


def expected(state: str, spec: str, other: str) -> str:
    """The cell, with what the other child changes in it: four rules."""
    done, told, place = CELLS[state, spec].rsplit(" ", 2)
    is_at_work = told.startswith(("Running", "Pending"))
    has_own = state in ("pending", "running") and spec != "identity"
    if state == "none" and other.startswith(("an old", "an orphan")) and is_at_work:
        place = "2.prepare.1"  # a status that was wiped: numbers come from the children too
    if other in ("an old one that lives", "an orphan") and is_at_work and not has_own:
        done, told = ("-" if done.startswith("start") else done), "Pending/Stopping"
    if other == "an old one that lives":
        done = "stop old" if done == "-" else f"{done},stop old"
    is_shown = done.startswith("start") or (state == "pending" and told.startswith("Running"))
    if other == "a foreign Job" and is_shown:
        told = "Pending/NameConflict"
    return f"{done} {told} {place}"


def scene_of(state: str, spec: str, other: str) -> Scene:
    scene = STATES[state]() if state in STATES else ended(state)
    return CHILDREN[other](SPECS[spec](scene))


def in_order(result: str) -> str:
    """Which of two stops comes first is nobody's concern."""
    done, told, place = result.rsplit(" ", 2)
    return f"{','.join(sorted(done.split(',')))} {told} {place}"


def test_the_table_is_whole() -> None:
    states = [*STATES, *CLASSES["never"].split(), *CLASSES["again"].split()]
    assert set(CELLS) == {(state, spec) for state in states for spec in SPECS}


@pytest.mark.parametrize("other", CHILDREN)
@pytest.mark.parametrize(("state", "spec"), CELLS, ids=lambda word: word)
def test_a_cell(state: str, spec: str, other: str) -> None:
    scene = scene_of(state, spec, other)
    assert in_order(decided(scene)) == in_order(expected(state, spec, other))
    laws_hold(scene)


def laws_hold(scene: Scene) -> None:
    """What is so in every cell, whatever the tables say."""
    decision = scene.decided()
    starts = [a for a in decision.actions if isinstance(a, StartStage)]
    stops = [a.name for a in decision.actions if isinstance(a, StopStage)]
    alive = [child.name for child in scene.children if child.is_unfinished]
    stored, status = scene.job.status.run, decision.status
    assert len(starts) <= 1
    assert not (starts and alive), "two at once"
    for start in starts:
        assert stored is not None
        asked = (start.request.run, start.request.stage, start.request.attempt)
        assert asked == (stored.number, stored.stage, stored.attempt), "no write-ahead"
        assert not scene.job.spec.suspend
    assert len(set(stops)) == len(stops)
    assert set(stops) <= {*alive, OLD}
    assert status.observed_generation == scene.job.metadata.generation
    if stored is not None and status.run is not None:
        assert status.run.number >= stored.number
        assert all(status.run.attempts.get(k, 0) >= n for k, n in stored.attempts.items()) or (
            status.run.number > stored.number
        )
    row, kinds = ROWS[State(status.phase)], ConditionType
    for kind, truth in ((kinds.SUCCEEDED, row.succeeded), (kinds.FINISHED, row.finished)):
        assert find(status.conditions, kind).status == truth  # type: ignore[union-attr]
    is_terminal = status.phase in (State.SUCCEEDED, State.FAILED, State.SUSPENDED)
    assert not (is_terminal and starts)
