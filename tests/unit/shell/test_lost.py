"""A Job that somebody deletes while its attempt is recorded, on the real shell."""

import pytest
from builders.fake_api import Json
from builders.world.nature import is_over
from builders.world.process import KINDS, Process
from builders.world.world import World

from controller.kube.resources import JOBS, PODS
from trainer.contract.failures import FailureClass


def running() -> tuple[World, Process, Json]:
    """One process, and the first Job with its pod at work."""
    world = World()
    del world.processes[1]
    (process,) = world.processes
    process.reconcile()
    world.nature.moves()
    hears(process)
    process.reconcile()
    (job,) = world.nature.jobs()
    return world, process, job


def hears(process: Process, *kinds: str) -> None:
    for kind in kinds or KINDS:
        while process.behind(kind):
            process.deliver(kind)


def looked(process: Process, *kinds: str) -> None:
    hears(process, *kinds)
    process.reconcile()


def creates(world: World) -> int:
    return world.api.requests.count("POST jobs")


def run(world: World) -> tuple[int, int, str]:
    told = world.status["run"]
    return told["attempt"], told["failures"], world.said()["Finished"]


def test_the_next_attempt_begins_when_the_pod_of_the_lost_job_has_ended() -> None:
    world, process, job = running()
    world.api.remove(JOBS, job)
    looked(process)
    assert run(world) == (1, 0, "False/Stopping")
    world.nature.moves()
    world.nature.moves()
    looked(process)
    assert run(world) == (2, 1, "False/JobLost")
    assert creates(world) == 1
    world.pass_time(10)
    process.reconcile()
    assert creates(world) == 2


def test_an_orphan_runs_to_its_end_alone_and_what_it_says_counts() -> None:
    world, process, job = running()
    world.nature.orphan(job)
    looked(process)
    world.pass_time(700)
    process.reconcile()
    assert (creates(world), world.said()["Finished"]) == (1, "False/Stopping")
    (pod,) = world.nature.live_pods()
    world.nature.end(pod, None)
    looked(process)
    assert world.status["run"]["stage"] == "train"
    assert world.status["run"]["attempts"]["prepare"] == 1


def test_a_result_counts_though_its_job_is_deleted_before_anybody_looked() -> None:
    world, process, job = running()
    (pod,) = world.nature.live_pods()
    world.nature.end(pod, None)
    hears(process)
    world.api.remove(JOBS, job)
    world.api.remove(PODS, world.nature.pods()[0])
    looked(process)
    assert world.status["run"]["stage"] == "train"


def test_a_checkpoint_that_advanced_makes_it_free() -> None:
    world, process, job = running()
    world.api.remove(JOBS, job)
    (pod,) = world.nature.live_pods()
    world.nature.end(pod, FailureClass.INTERRUPTED, step=7)
    looked(process)
    assert run(world)[:2] == (2, 0)


def test_a_cache_that_wrongly_says_that_the_job_is_gone_is_not_believed() -> None:
    world, process, job = running()
    known = process.watches.children.store.remove(("ml", job["metadata"]["name"]))
    process.watches.child_changed(known, None)
    (pod,) = world.nature.live_pods()
    world.nature.exit(pod, 1)
    looked(process, "pods")
    assert run(world)[:2] == (1, 0)
    assert "JobLost" not in str(world.status)
    world.come_to_rest()
    assert world.said()["Finished"] == "True/Promote"


def test_while_only_the_cache_of_the_pods_is_late_nothing_is_lost() -> None:
    world = World()
    process = world.processes[0]
    process.reconcile()
    world.nature.moves()
    hears(process, "jobs")
    (job,) = world.nature.jobs()
    world.api.remove(JOBS, job)
    looked(process, "jobs")
    assert run(world)[:2] == (1, 0)
    assert not all(is_over(pod) for pod in world.nature.pods())


def test_a_job_that_the_operator_deleted_itself_is_not_lost() -> None:
    world, process, _ = running()
    world.edit({"suspend": True})
    looked(process)
    while world.nature.moves():
        pass
    looked(process, "jobs", "pods")
    world.edit({"suspend": False})
    world.come_to_rest()
    assert world.said()["Finished"] == "True/Promote"
    assert world.status["run"]["attempts"]["prepare"] <= 2


@pytest.mark.parametrize("how", ["deleted", "made again"])
def test_nothing_is_remembered_of_an_object_that_is_gone(how: str) -> None:
    world, process, job = running()
    uid = job["metadata"]["ownerReferences"][0]["uid"]
    world.api.remove(JOBS, job)
    hears(process)
    assert len(process.ledger.lost.of(uid)) == 1
    world.delete()
    if how == "made again":
        world.create({})
    hears(process)
    assert process.ledger.lost.of(uid) == ()
    assert len(process.ledger.lost.words) == 0


def test_a_job_whose_labels_somebody_removes_is_neither_doubled_nor_is_its_result_lost() -> None:
    world, process, job = running()
    world.api.put(JOBS, {**job, "metadata": {**job["metadata"], "labels": {}}})
    looked(process)
    assert creates(world) == 1
    (pod,) = world.nature.live_pods()
    world.nature.end(pod, None)
    looked(process)
    assert (world.status["run"]["stage"], creates(world)) == ("train", 2)
    world.come_to_rest()
    assert world.said()["Finished"] == "True/Promote"


def test_a_wiped_status_is_made_anew_and_nothing_runs_twice() -> None:
    world, process, _ = running()
    world.wipe_status()
    looked(process)
    assert (world.status["run"]["number"], world.said()["Finished"]) == (2, "False/Stopping")
    world.come_to_rest()
    assert world.said()["Finished"] == "True/Promote"


def test_while_the_server_is_away_each_look_costs_one_request() -> None:
    world, process, _ = running()
    world.edit({"lora": {"rank": 8}})
    hears(process)
    world.api.is_away = True
    before = len(world.api.requests)
    for _ in range(5):
        process.reconcile()
        assert process.due is not None  # it comes back by itself
    assert len(world.api.requests) - before <= 2 * 5
    world.api.is_away = False
    world.come_to_rest()
    assert world.said()["Finished"] == "True/Promote"
