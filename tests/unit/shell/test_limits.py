"""Two limits at once: runs, and the retrainings that moved base models ask for."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from builders.jobs import START, Scene, a_job

from controller.api.conditions import ConditionType
from controller.core.conditions import find
from controller.core.decide import decide
from controller.core.intent import read_intent
from controller.core.observed import Observed
from controller.kube.objects import Key
from controller.shell.glance import has_news_for_jobs, is_retrained_by_itself
from controller.shell.limits import Limits
from controller.shell.records import JobObject
from controller.shell.slots import Slots, place_of

AUTO = {"policy": "Auto", "minPeriodSeconds": 0}


def an_auto_job(age: int, **spec: Any) -> Scene:
    """Judged on rev-1; the base model is at rev-2. A higher age is an older object."""
    job = a_job(**{"baseModel": {"name": "smol"}, "retrain": AUTO, **spec})
    meta = {
        "name": f"age-{age}",
        "uid": f"uid-{age}",
        "creation_timestamp": START - timedelta(hours=age),
    }
    job = job.model_copy(update={"metadata": job.metadata.model_copy(update=meta)})
    status = Scene(job=a_job(**job.spec.model_dump(exclude_unset=True))).moved("rev-1")
    judged = status.run_through().job.status
    return Scene(job=job.model_copy(update={"status": judged})).moved("rev-2")


class Fleet:
    """Both limits, and what a reconcile does with them."""

    def __init__(self, *, runs: int = 0, retrains: int = 0) -> None:
        self.woken: list[Key] = []
        wake = lambda key, _s: self.woken.append(key)  # noqa: E731
        now = lambda: START  # noqa: E731
        self.limits = Limits(Slots(runs, wake, now), Slots(retrains, wake, now))

    def decide(self, scene: Scene) -> Scene:
        """One decision, with its places taken and settled, executed."""
        placed = self.placed(scene)
        decision = decide(placed)
        is_alive = any(child.is_unfinished for child in scene.children)
        self.limits.settle(
            scene.job.metadata.uid,
            decision.status,
            is_alive=is_alive,
            is_behind=placed.retrain_position > 0,
        )
        job = scene.job.model_copy(update={"status": decision.status})
        return replace(scene, job=job)

    def placed(self, scene: Scene) -> Observed:
        is_alive = any(child.is_unfinished for child in scene.children)
        return self.limits.placed(scene.observed(), is_alive=is_alive)


def waits(scene: Scene) -> str:
    found = find(scene.job.status.conditions, ConditionType.BASE_MODEL_CURRENT)
    assert found is not None
    return f"{found.reason}: {found.message}"


def number(scene: Scene) -> int:
    assert scene.job.status.run is not None
    return scene.job.status.run.number


def over(scene: Scene) -> Scene:
    run = scene.job.status.run
    assert run is not None
    judged = read_intent(scene.job).judge_hash
    end = {"end_time": START, "verdict": "Promote", "judge_hash": judged}
    ended = run.model_copy(update=end)
    status = scene.job.status.model_copy(update={"run": ended, "phase": "Succeeded"})
    return replace(scene, job=scene.job.model_copy(update={"status": status}))


def test_of_a_fan_out_the_oldest_is_first_whoever_is_decided_first() -> None:
    fleet = Fleet(retrains=1)
    young, old = an_auto_job(1), an_auto_job(9)
    for scene in (young, old):
        fleet.limits.retrains.expect(place_of(scene.job))
    young, old = fleet.decide(young), fleet.decide(old)
    assert (number(young), number(old)) == (1, 2)
    assert "position 1 in the queue" in waits(young)
    assert young.job.status.phase == "Succeeded"


def test_one_that_is_expected_and_has_nothing_to_do_leaves_the_line() -> None:
    fleet = Fleet(retrains=1)
    current, behind = an_auto_job(9).moved("rev-1"), an_auto_job(1)
    for scene in (current, behind):
        fleet.limits.retrains.expect(place_of(scene.job))
    fleet.decide(current)
    assert number(fleet.decide(behind)) == 2


def test_the_next_begins_when_a_retraining_is_over() -> None:
    fleet = Fleet(retrains=1)
    first, second = fleet.decide(an_auto_job(9)), fleet.decide(an_auto_job(1))
    assert number(second) == 1
    fleet.woken.clear()
    fleet.decide(over(first))
    assert fleet.woken == [("ml", "age-1")]
    assert number(fleet.decide(second)) == 2


def test_another_run_takes_no_place_of_a_retraining() -> None:
    fleet = Fleet(retrains=1)
    edited = an_auto_job(9).edited(lora={"rank": 8})
    assert number(fleet.decide(edited)) == 2
    assert number(fleet.decide(an_auto_job(1))) == 2


def test_a_retraining_needs_a_place_among_the_runs_too() -> None:
    fleet = Fleet(runs=1)
    fleet.limits.runs.hold("uid-of-another")
    queued = fleet.decide(an_auto_job(9))
    assert (number(queued), queued.job.status.phase) == (1, "Queued")
    fleet.limits.forget("uid-of-another")
    assert number(fleet.decide(queued)) == 2


def test_one_that_waits_among_the_runs_keeps_its_place_among_the_retrainings() -> None:
    fleet = Fleet(runs=1, retrains=1)
    fleet.limits.runs.hold("uid-of-another")
    first, second = fleet.decide(an_auto_job(9)), fleet.decide(an_auto_job(1))
    assert (first.job.status.phase, second.job.status.phase) == ("Queued", "Succeeded")
    fleet.limits.forget("uid-of-another")
    assert number(fleet.decide(second)) == 1
    assert number(fleet.decide(first)) == 2


def test_without_limits_nothing_is_counted() -> None:
    fleet = Fleet()
    assert fleet.placed(an_auto_job(9)) == an_auto_job(9).observed()
    assert number(fleet.decide(an_auto_job(9))) == 2


def a_stored(spec: dict[str, Any], **status: Any) -> JobObject:
    document = {"metadata": {"name": "x", "uid": "u"}, "spec": spec, "status": status}
    return msgspec.json.decode(msgspec.json.encode(document), type=JobObject)


LATEST = {"latest": {"revision": "a", "contentDigest": "d", "observedTime": "t"}}
READY = {"conditions": [{"type": "Ready", "status": "True", "reason": "Resolved"}]}
NEWS = [
    pytest.param({}, LATEST, True, id="the first revision"),
    pytest.param(LATEST, LATEST | {"latest": {"contentDigest": "e"}}, True, id="another one"),
    pytest.param({}, READY, True, id="its condition"),
    pytest.param(LATEST, LATEST | {"lastCheckTime": "t"}, False, id="a look that found nothing"),
    pytest.param(
        LATEST, LATEST | {"conditions": [{"type": "Reconciling"}]}, False, id="a look under way"
    ),
]


@pytest.mark.parametrize(("before", "after", "is_news"), NEWS)
def test_jobs_are_woken_by_what_they_read_of_their_base_model(
    before: dict[str, Any], after: dict[str, Any], is_news: bool
) -> None:
    assert has_news_for_jobs(a_stored({}, **before), a_stored({}, **after)) is is_news


def test_jobs_are_woken_when_their_base_model_comes_goes_or_has_another_source() -> None:
    known = a_stored({"source": {"a": 1}}, **LATEST)
    assert has_news_for_jobs(None, known)
    assert has_news_for_jobs(known, None)
    assert has_news_for_jobs(known, a_stored({"source": {"a": 2}}, **LATEST))


def test_only_auto_is_expected_to_be_trained_again() -> None:
    assert is_retrained_by_itself(a_stored({"retrain": {"policy": "Auto"}}))
    assert not is_retrained_by_itself(a_stored({"retrain": {"policy": "OnCommit"}}))
    assert not is_retrained_by_itself(a_stored({}))
