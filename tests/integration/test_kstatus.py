"""kstatus's own library reads every state of a job right; the statuses are the core's."""

from dataclasses import replace

import pytest
from builders.api import a_job_document
from builders.jobs import START, Scene, a_job
from cluster.kstatus import kstatus

from controller.api.finetunejob import FineTuneJob
from controller.api.reasons import Reason
from controller.api.wire import to_document
from controller.core.conditions import TABLE, Stamp, State, put_state
from trainer.contract.failures import FailureClass

IN_PROGRESS, FAILED, CURRENT = "InProgress", "Failed", "Current"


def started() -> Scene:
    return Scene().settled()


def trained() -> Scene:
    return started().succeeded().settled().succeeded().settled()


def rejected() -> Scene:
    return trained().succeeded(verdict="Reject").settled()


def waiting_for_approval() -> Scene:
    job = a_job(promotion={"policy": "Manual"})
    scene = Scene(job=job).settled().succeeded().settled().succeeded().settled()
    return scene.succeeded(sequence=0).settled()


LIFE = [
    pytest.param(Scene, IN_PROGRESS, None, id="just created, never seen"),
    pytest.param(started, IN_PROGRESS, State.RUNNING, id="preparing"),
    pytest.param(
        lambda: started().succeeded().settled(), IN_PROGRESS, State.RUNNING, id="training"
    ),
    pytest.param(trained, IN_PROGRESS, State.RUNNING, id="judging"),
    pytest.param(lambda: trained().succeeded().settled(), CURRENT, State.SUCCEEDED, id="promoted"),
    pytest.param(rejected, CURRENT, State.SUCCEEDED, id="judged and rejected"),
    pytest.param(waiting_for_approval, CURRENT, State.SUCCEEDED, id="waiting for approval"),
    pytest.param(
        lambda: started().failed(FailureClass.INVALID_DATA).settled(),
        FAILED,
        State.FAILED,
        id="bad data",
    ),
    pytest.param(
        lambda: started().failed(FailureClass.UNAVAILABLE).settled(),
        IN_PROGRESS,
        None,
        id="pausing before the next attempt",
    ),
    pytest.param(
        lambda: Scene(job=a_job(suspend=True)).settled(),
        CURRENT,
        State.SUSPENDED,
        id="suspended before it began",
    ),
    pytest.param(
        lambda: Scene(job=a_job(baseModel={"name": "none"})).settled(),
        IN_PROGRESS,
        State.PENDING,
        id="waiting for its base model",
    ),
    pytest.param(
        lambda: replace(Scene(), queue_position=2).settled(),
        IN_PROGRESS,
        State.QUEUED,
        id="second in the queue",
    ),
    pytest.param(
        lambda: started().failed(FailureClass.SECRET_NOT_FOUND).settled(),
        IN_PROGRESS,
        State.PENDING,
        id="waiting for a Secret",
    ),
    pytest.param(
        lambda: trained().succeeded().settled().edited(suspend=True),
        IN_PROGRESS,
        None,
        id="done, then edited and not seen since",
    ),
    pytest.param(
        lambda: Scene(job=a_job(method="DPO")).settled(), FAILED, State.FAILED, id="refused spec"
    ),
]


@pytest.mark.parametrize(("scene", "status", "state"), LIFE)
def test_kstatus_reads_each_moment_of_a_jobs_life(scene, status, state):
    job = scene().job
    (seen,) = kstatus([to_document(job)])
    assert seen.status == status, seen.message
    assert state is None or job.status.phase == state.value


READ_AS = {
    State.PENDING: IN_PROGRESS,
    State.QUEUED: IN_PROGRESS,
    State.RUNNING: IN_PROGRESS,
    State.SUSPENDED: CURRENT,
    State.SUCCEEDED: CURRENT,
    State.FAILED: FAILED,
}


def test_kstatus_reads_every_row_of_the_state_table():
    jobs = [to_document(in_state(state)) for state in TABLE]
    assert [seen.status for seen in kstatus(jobs)] == [READ_AS[state] for state in TABLE]


def in_state(state: State) -> FineTuneJob:
    """A seen job with the conditions of the row and no others."""
    conditions = put_state([], Stamp(1, START), state, Reason.PENDING)
    status = {"observed_generation": 1, "phase": state.value, "conditions": conditions}
    job = a_job()
    return job.model_copy(update={"status": job.status.model_copy(update=status)})


@pytest.fixture
def served(plane, namespace):
    """A job in a state, as the API server gives it back; and what it is called."""

    def served(state):
        path = f"/apis/tunekeeper.dev/v1alpha1/namespaces/{namespace}/finetunejobs"
        name = state.value.lower()
        made = plane.api.post(path, a_job_document(name))
        assert kstatus([made])[0].status == IN_PROGRESS  # before anybody has seen it
        status = to_document(in_state(state))["status"]
        return plane.api.put(f"{path}/{name}/status", made | {"status": status})

    return served


@pytest.mark.parametrize("state", list(TABLE), ids=str)
def test_the_api_server_keeps_what_kstatus_needs(served, state):
    assert kstatus([served(state)])[0].status == READ_AS[state]


@pytest.mark.parametrize("state", list(TABLE), ids=str)
def test_kubectl_wait_for_finished_ends_in_success_and_in_failure(plane, namespace, served, state):
    served(state)
    name = f"ftj/{state.value.lower()}"
    timeout = "20s" if state in {State.SUCCEEDED, State.FAILED} else "1s"
    wait = ["wait", "-n", namespace, "--for=condition=Finished", f"--timeout={timeout}", name]
    ended = plane.kubectl(*wait, check=False)
    assert (ended.returncode == 0) == (state in {State.SUCCEEDED, State.FAILED}), ended.stderr


def test_an_object_that_is_being_deleted_is_terminating(served, plane, namespace):
    made = served(State.RUNNING)
    path = f"/apis/tunekeeper.dev/v1alpha1/namespaces/{namespace}/finetunejobs/running"
    plane.api.patch(path, {"metadata": {"finalizers": ["example.test/held"]}})
    plane.api.delete(path)
    seen = plane.api.get(path)
    plane.api.patch(path, {"metadata": {"finalizers": None}})
    assert seen["metadata"]["uid"] == made["metadata"]["uid"]
    assert kstatus([seen])[0].status == "Terminating"
