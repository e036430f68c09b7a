"""The tables of the core: names, failures, conditions."""

import re

import pytest
from builders.jobs import START

from controller.api.conditions import ConditionType
from controller.api.reasons import Reason
from controller.core.conditions import Stamp, State, find, put, put_state
from controller.core.failures import backoff_s
from controller.core.naming import child_name
from trainer.contract.request import Stage

C = ConditionType


@pytest.mark.parametrize("job", ["a", "support-intents", "with.dots.in.it", "x" * 63, "y-" * 31])
@pytest.mark.parametrize(("run", "attempt"), [(1, 1), (12345, 100)])
def test_a_childs_name_is_a_short_dns_label(job: str, run: int, attempt: int) -> None:
    name = child_name(job, "uid-1", run=run, stage=Stage.PREPARE, attempt=attempt)
    assert len(name) <= 52
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    assert name.endswith(f"-r{run}-prepare-{attempt}")


def test_two_jobs_with_the_same_long_beginning_have_other_children() -> None:
    one = child_name("z" * 63, "uid-1", run=1, stage=Stage.TRAIN, attempt=1)
    other = child_name("z" * 63, "uid-2", run=1, stage=Stage.TRAIN, attempt=1)
    assert one != other


def test_the_pause_doubles_up_to_its_limit() -> None:
    pauses = [backoff_s(failures, base_s=10, cap_s=60) for failures in (1, 2, 3, 4, 2000)]
    assert pauses == [10, 20, 40, 60, 60]


@pytest.mark.parametrize("state", list(State))
def test_each_state_is_finished_or_reconciling_or_held(state: State) -> None:
    held = put_state([], Stamp(3, START), state, Reason.PENDING)
    told = {condition.type: condition.status for condition in held}
    assert C.SUCCEEDED in told
    assert (told[C.FINISHED] == "True") == (state in (State.SUCCEEDED, State.FAILED))
    assert (C.STALLED in told) == (state is State.FAILED)


def test_a_transition_time_moves_only_with_the_truth() -> None:
    first = put([], Stamp(1, START), C.TRAINED, "False", Reason.TRAINING)
    later = START.replace(hour=13)
    same = put(first, Stamp(2, later), C.TRAINED, "False", Reason.DIVERGED)
    other = put(same, Stamp(2, later), C.TRAINED, "True", Reason.TRAINED)
    times = [find(held, C.TRAINED).last_transition_time for held in (first, same, other)]
    assert times == [START, START, later]
    assert find(same, C.TRAINED).observed_generation == 2
