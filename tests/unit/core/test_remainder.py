"""What is left of a run's deadline and budget."""

import pytest
from builders.jobs import a_job

from controller.api.status import FineTuneJobStatus, JobCost, RunStatus
from controller.core.remainder import backstop_s, left_now, reserve_s, soft_limit
from trainer.contract.failures import FailureClass
from trainer.contract.limit import SoftLimit
from trainer.contract.request import Stage

F = FailureClass


def used(active_s: float = 0, gpu_s: float = 0) -> FineTuneJobStatus:
    return FineTuneJobStatus(
        run=RunStatus(number=1, active_seconds=active_s), cost=JobCost(gpu_seconds=gpu_s)
    )


def limited(deadline: int | None = None, budget: int | None = None, gpus: int = 2) -> dict:
    return {
        "activeDeadlineSeconds": deadline,
        "budget": {"maxGpuSeconds": budget},
        "compute": {"gpus": gpus},
    }


LEFT = [
    pytest.param(limited(), used(50, 90), Stage.TRAIN, None, id="without a limit there is none"),
    pytest.param(
        limited(100), used(30), Stage.PREPARE, (70, F.DEADLINE_EXCEEDED), id="the deadline less use"
    ),
    pytest.param(
        limited(None, 100), used(99, 30), Stage.TRAIN, (35, F.BUDGET_EXCEEDED), id="of two GPUs"
    ),
    pytest.param(
        limited(100, 100), used(30, 30), Stage.TRAIN, (35, F.BUDGET_EXCEEDED), id="narrower budget"
    ),
    pytest.param(
        limited(60, 200), used(30, 30), Stage.TRAIN, (30, F.DEADLINE_EXCEEDED), id="deadline first"
    ),
    pytest.param(
        limited(100, 10), used(30, 30), Stage.PREPARE, (70, F.DEADLINE_EXCEEDED), id="CPU is free"
    ),
    pytest.param(limited(None, 10, 0), used(30, 30), Stage.TRAIN, None, id="no GPU, no budget"),
    pytest.param(
        limited(100), used(130), Stage.TRAIN, (-30, F.DEADLINE_EXCEEDED), id="passed: negative"
    ),
]


@pytest.mark.parametrize(("spec", "status", "stage", "expected"), LEFT)
def test_what_is_left_is_the_narrower_of_the_two_limits(spec, status, stage, expected):
    found = left_now(a_job(**spec), status, stage)
    assert (found and (found.seconds, found.failure)) == expected


def test_a_stage_is_told_whole_seconds_and_which_limit_they_are_of():
    told = soft_limit(a_job(**limited(100)), used(30.6), Stage.TRAIN)
    assert told == SoftLimit(seconds=69, failure=F.DEADLINE_EXCEEDED)


def test_a_judge_is_told_no_limit_and_has_the_reserve_whatever_is_left():
    job = a_job(**limited(100, 100))
    assert soft_limit(job, used(400), Stage.JUDGE) is None
    assert backstop_s(job, used(400, 400), Stage.JUDGE) == 300


RESERVES = [
    pytest.param(60, 300, id="five minutes at least"),
    pytest.param(1500, 300, id="a fifth of 25 minutes"),
    pytest.param(36000, 7200, id="a fifth of ten hours"),
]


@pytest.mark.parametrize(("seconds", "reserve"), RESERVES)
def test_the_backstop_leaves_a_reserve_beyond_the_remainder(seconds, reserve):
    assert reserve_s(seconds) == reserve
    assert backstop_s(a_job(**limited(seconds)), used(), Stage.TRAIN) == seconds + reserve


def test_without_a_limit_there_is_no_backstop():
    assert backstop_s(a_job(), used(), Stage.TRAIN) is None
