"""Slots of maxConcurrentRuns: nobody gets one twice, the oldest is next."""

from datetime import timedelta

import pytest
from builders.jobs import START, a_job

from controller.api.finetunejob import FineTuneJob
from controller.api.status import RunStatus
from controller.core.intent import read_intent
from controller.core.observed import Observed
from controller.kube.objects import Key
from controller.shell.limits import Limits
from controller.shell.line import Line, Place, position
from controller.shell.slots import Slots
from trainer.contract.request import Stage


def a_place(age: int, name: str = "x") -> Place:
    return Place(START + timedelta(seconds=age), ("ml", name), f"uid-{name}-{age}")


def a_waiting_job(name: str, age: int, **spec: object) -> FineTuneJob:
    job = a_job(**spec)
    meta = job.metadata.model_copy(
        update={
            "name": name,
            "uid": f"uid-{name}",
            "creation_timestamp": START + timedelta(seconds=age),
        }
    )
    return job.model_copy(update={"metadata": meta})


def running(job: FineTuneJob) -> FineTuneJob:
    intent = read_intent(job)
    run = RunStatus(
        number=1,
        stage=Stage.JUDGE,
        attempt=1,
        spec_hash=intent.spec_hash,
        generation_hash=intent.generation_hash,
        judge_hash=intent.judge_hash,
    )
    status = job.status.model_copy(update={"run": run, "phase": "Running"})
    return job.model_copy(update={"status": status})


def in_phase(job: FineTuneJob, phase: str) -> FineTuneJob:
    return job.model_copy(update={"status": job.status.model_copy(update={"phase": phase})})


def pausing(job: FineTuneJob) -> FineTuneJob:
    known = running(job)
    assert known.status.run is not None
    fields = {
        "waits": 1,
        "not_before": START + timedelta(seconds=60),
        "retry_hash": read_intent(job).retry_hash,
    }
    run = known.status.run.model_copy(update=fields)
    status = known.status.model_copy(update={"run": run, "phase": "Pending"})
    return known.model_copy(update={"status": status})


def ended(job: FineTuneJob) -> FineTuneJob:
    assert job.status.run is not None
    run = job.status.run.model_copy(update={"end_time": START, "verdict": "Promote"})
    status = job.status.model_copy(update={"run": run, "phase": "Succeeded"})
    return job.model_copy(update={"status": status})


class Fleet:
    """Slots and the keys they woke."""

    def __init__(self, limit: int) -> None:
        self.woken: list[Key] = []
        self.now = START
        self.slots = Slots(limit, lambda key, _: self.woken.append(key), lambda: self.now)
        self.limits = Limits(self.slots, Slots(0, lambda _key, _s: None, lambda: self.now))

    def take(self, job: FineTuneJob) -> int:
        """Its position, as a decision about it sees it."""
        return self.limits.placed(Observed(job, self.now), is_alive=False).queue_position

    def decide(self, job: FineTuneJob) -> int:
        """A whole reconcile of a job that wants to run."""
        found = self.take(job)
        after = in_phase(job, "Queued") if found else running(job)
        self.limits.settle(job.metadata.uid, after.status, is_alive=False)
        return found

    def pause(self, job: FineTuneJob) -> None:
        """Something is missing: its run pauses for a minute."""
        self.limits.settle(job.metadata.uid, pausing(job).status, is_alive=False)

    def end(self, job: FineTuneJob) -> None:
        self.limits.settle(job.metadata.uid, ended(running(job)).status, is_alive=False)


@pytest.mark.parametrize(
    ("ages", "free", "expected"),
    [
        pytest.param([], 1, 0, id="alone with a free slot"),
        pytest.param([], 0, 1, id="alone without one"),
        pytest.param([0], 1, 1, id="behind an older one that takes the only slot"),
        pytest.param([0], 2, 0, id="behind an older one when there are two"),
        pytest.param([9], 1, 0, id="before a younger one"),
        pytest.param([0, 1, 2], 0, 4, id="fourth in line"),
        pytest.param([0, 1, 2], 1, 3, id="fourth in line with one slot free"),
    ],
)
def test_the_position_counts_older_objects_without_a_slot(
    ages: list[int], free: int, expected: int
) -> None:
    waiting = [a_place(age, "other") for age in ages]
    assert position(a_place(5), Line(waiting), free) == expected


def test_of_two_objects_of_the_same_second_the_name_decides() -> None:
    assert position(a_place(0, "b"), Line([a_place(0, "a")]), 0) == 2
    assert position(a_place(0, "a"), Line([a_place(0, "b")]), 0) == 1


def test_without_a_limit_everything_runs() -> None:
    fleet = Fleet(0)
    assert [fleet.decide(a_waiting_job(str(n), n)) for n in range(5)] == [0] * 5


def test_a_slot_is_handed_out_once_even_to_an_older_object_that_comes_later() -> None:
    fleet = Fleet(1)
    young, old = a_waiting_job("young", 9), a_waiting_job("old", 0)
    assert fleet.take(young) == 0  # its status is not written yet
    assert fleet.take(old) == 1


def test_when_a_slot_frees_those_who_wait_are_woken_and_the_oldest_gets_it() -> None:
    fleet = Fleet(1)
    first, second, third = (a_waiting_job(name, age) for age, name in enumerate("abc"))
    assert [fleet.decide(job) for job in (first, third, second)] == [0, 1, 1]
    assert fleet.decide(third) == 2
    fleet.end(first)
    assert fleet.woken[-2:] == [("ml", "b"), ("ml", "c")]
    assert [fleet.decide(third), fleet.decide(second), fleet.decide(third)] == [1, 0, 1]


def test_a_slot_that_was_taken_and_not_used_is_given_back() -> None:
    fleet = Fleet(1)
    job, other = a_waiting_job("a", 0), a_waiting_job("b", 1)
    assert fleet.take(job) == 0
    fleet.limits.settle(job.metadata.uid, in_phase(job, "Pending").status, is_alive=False)
    assert fleet.decide(other) == 0


def test_a_job_that_is_deleted_leaves_its_slot_and_its_place() -> None:
    fleet = Fleet(1)
    jobs = [a_waiting_job(name, age) for age, name in enumerate("abc")]
    assert [fleet.decide(job) for job in jobs] == [0, 1, 2]
    fleet.limits.forget("uid-b")
    assert fleet.decide(jobs[2]) == 1
    fleet.limits.forget("uid-a")
    assert fleet.decide(jobs[2]) == 0


def test_a_suspended_job_leaves_its_slot_when_nothing_of_it_lives() -> None:
    fleet = Fleet(1)
    job, other = a_waiting_job("a", 0), a_waiting_job("b", 1)
    fleet.decide(job)
    suspended = in_phase(running(job), "Suspended")
    fleet.limits.settle("uid-a", suspended.status, is_alive=True)
    assert fleet.decide(other) == 1
    fleet.limits.settle("uid-a", suspended.status, is_alive=False)
    assert fleet.decide(other) == 0


def test_a_job_that_rests_takes_no_slot() -> None:
    fleet = Fleet(1)
    done = ended(running(a_waiting_job("done", 0)))
    assert fleet.take(done) == 0
    assert fleet.decide(a_waiting_job("b", 1)) == 0


def test_runs_that_were_under_way_before_the_restart_hold_theirs() -> None:
    fleet = Fleet(1)
    fleet.slots.hold("uid-a")
    assert fleet.decide(a_waiting_job("b", 1)) == 1
    assert fleet.decide(running(a_waiting_job("a", 0))) == 0


def test_after_a_restart_the_oldest_is_first_whoever_is_looked_at_first() -> None:
    fleet = Fleet(1)
    old, young = a_waiting_job("a", 0), a_waiting_job("b", 1)
    fleet.slots.expect(Place(START, ("ml", "a"), "uid-a"))
    assert fleet.decide(young) == 1
    assert fleet.decide(old) == 0


def test_a_resumed_job_gets_a_slot_only_when_one_is_free() -> None:
    fleet = Fleet(1)
    job, other = a_waiting_job("a", 0), a_waiting_job("b", 1)
    fleet.decide(job)
    fleet.limits.settle("uid-a", in_phase(running(job), "Suspended").status, is_alive=False)
    assert fleet.decide(other) == 0
    assert fleet.decide(in_phase(running(job), "Suspended")) == 1
    fleet.end(other)
    assert fleet.decide(in_phase(running(job), "Queued")) == 0


def test_a_run_that_pauses_until_something_arrives_blocks_nobody() -> None:
    fleet = Fleet(1)
    job, other = a_waiting_job("a", 0), a_waiting_job("b", 1)
    fleet.decide(job)
    fleet.pause(job)
    assert fleet.take(pausing(job)) == 0  # and takes no slot
    assert fleet.decide(other) == 0
    fleet.now = START + timedelta(seconds=61)
    assert fleet.take(pausing(job)) == 1


def test_a_pausing_run_whose_spec_was_mended_wants_a_slot_at_once() -> None:
    fleet = Fleet(1)
    job = a_waiting_job("a", 0)
    fleet.decide(a_waiting_job("b", 1))
    spec = job.spec.model_copy(
        update={"retry": job.spec.retry.model_copy(update={"max_attempts": 9})}
    )
    mended = pausing(job).model_copy(update={"spec": spec})
    assert fleet.take(mended) == 1


def test_an_old_object_that_comes_back_moves_those_behind_it() -> None:
    fleet = Fleet(1)
    for name, age in (("a", 5), ("b", 6)):
        fleet.decide(a_waiting_job(name, age))
    fleet.woken.clear()
    fleet.decide(a_waiting_job("old", 0))
    assert ("ml", "b") in fleet.woken
    fleet.woken.clear()
    fleet.decide(a_waiting_job("young", 9))
    assert fleet.woken == []
