"""An object whose spec an older operator cannot read."""

from dataclasses import replace
from datetime import timedelta

from builders.jobs import START, Scene

from controller.api.conditions import ConditionType
from controller.core.actions import Event
from controller.core.conditions import find
from controller.core.unreadable import refuse_unreadable
from controller.errors import Problem, SpecError

ERROR = SpecError([Problem("spec.lora.magic", "unknown"), Problem("spec.seed", "missing")])
MESSAGE = "spec.lora.magic: unknown; spec.seed: missing"


def test_it_stalls_with_every_problem_and_its_place() -> None:
    job = Scene().job
    decision = refuse_unreadable(job.metadata, job.status, ERROR, START)
    stalled = find(decision.status.conditions, ConditionType.STALLED)
    assert stalled is not None
    assert (stalled.status, stalled.message) == ("True", MESSAGE)
    assert (decision.status.phase, decision.status.observed_generation) == ("Failed", 1)
    assert decision.events == (Event("Warning", "InvalidSpec", MESSAGE),)
    assert (decision.actions, decision.requeue_after_s) == ((), None)


def test_said_again_it_is_neither_written_nor_told() -> None:
    meta, later = Scene().job.metadata, START + timedelta(hours=1)
    first = refuse_unreadable(meta, Scene().job.status, ERROR, START).status
    again = refuse_unreadable(meta, first, ERROR, later)
    assert (again.status, again.events) == (first, ())


def test_what_has_ended_stays_so_under_a_release_that_cannot_read_it() -> None:
    scene = Scene().settled().succeeded().settled().succeeded().settled().succeeded().settled()
    job = scene.job
    assert job.status.phase == "Succeeded"
    decision = refuse_unreadable(job.metadata, job.status, ERROR, START)
    assert (decision.status, decision.events) == (job.status, ())


def test_a_spec_that_was_edited_after_the_end_is_refused() -> None:
    scene = Scene().settled().succeeded().settled().succeeded().settled().succeeded().settled()
    edited = scene.job.metadata.model_copy(update={"generation": 2})
    decision = refuse_unreadable(edited, scene.job.status, ERROR, START)
    assert (decision.status.phase, decision.status.observed_generation) == ("Failed", 2)


def test_what_runs_goes_on_and_its_end_counts_when_the_spec_can_be_read() -> None:
    scene = Scene().settled().succeeded().settled()
    job = scene.job
    decision = refuse_unreadable(job.metadata, job.status, ERROR, START)
    assert decision.actions == ()
    refused = replace(scene, job=job.model_copy(update={"status": decision.status}))
    read_again = refused.succeeded().settled()
    assert read_again.job.status.phase == "Running"
    assert read_again.live.name.endswith("r1-judge-1")
