"""Whom the poller asks, what a new leader remembers, and which keys a change wakes."""

import asyncio
from typing import Any

import msgspec
import pytest
from builders.jobs import START, a_job
from builders.reconciled import position_of

from controller.api.finetunejob import FineTuneJob
from controller.kube.errors import ApiError, KubeError
from controller.kube.objects import Key, Meta, OwnerReference
from controller.settings import OperatorSettings
from controller.shell.operator import Operator
from controller.shell.reconcile import NEVER
from controller.shell.records import Job, JobObject, Pod, PodStatus

RUN = {"number": 2, "stage": "train", "attempt": 3}
LABELS = {
    "tunekeeper.dev/job": "intents",
    "tunekeeper.dev/uid": "uid-1",
    "tunekeeper.dev/run": "2",
    "tunekeeper.dev/stage": "train",
    "tunekeeper.dev/attempt": "3",
}


def an_operator(**settings: Any) -> Operator:
    client: Any = None
    return Operator(client, OperatorSettings(**settings), "me")


def a_stored(name: str = "intents", uid: str = "uid-1", **status: Any) -> JobObject:
    meta = Meta(name, "ml", uid, "7", creation_timestamp=START)
    spec = {"baseModel": {"name": "small"}}
    return JobObject(
        meta,
        spec=msgspec.Raw(msgspec.json.encode(spec)),
        status=msgspec.Raw(msgspec.json.encode(status)),
    )


def a_pod(phase: str = "Running", address: str = "10.0.0.1", **labels: str) -> Pod:
    ours = {f"tunekeeper.dev/{name}": value for name, value in labels.items()}
    meta = Meta("p", "ml", "pod-1", labels=LABELS | ours)
    return Pod(meta, status=PodStatus(phase=phase, pod_ip=address))


def asked(stored: JobObject | None, pod: Pod) -> list[str]:
    operator = an_operator()
    if stored is not None:
        operator.watches.jobs.store.put(stored)
    operator.watches.pods.store.put(pod)
    targets = operator.poller.targets()
    return [target.address for target in targets]


def test_the_running_pod_of_the_recorded_attempt_is_asked() -> None:
    assert asked(a_stored(run=RUN), a_pod()) == ["10.0.0.1"]


@pytest.mark.parametrize(
    ("stored", "pod"),
    [
        pytest.param(None, a_pod(), id="no such job"),
        pytest.param(a_stored(), a_pod(), id="no run is recorded"),
        pytest.param(a_stored(uid="uid-2", run=RUN), a_pod(), id="another job of the name"),
        pytest.param(a_stored(run=RUN), a_pod(attempt="2"), id="an earlier attempt"),
        pytest.param(a_stored(run=RUN), a_pod(stage="judge"), id="another stage"),
        pytest.param(a_stored(run=RUN), a_pod(run="1"), id="another run"),
        pytest.param(a_stored(run=RUN), a_pod(phase="Pending"), id="not started"),
        pytest.param(a_stored(run=RUN), a_pod(phase="Succeeded"), id="over"),
        pytest.param(a_stored(run=RUN), a_pod(address=""), id="without an address"),
    ],
)
def test_no_other_pod_is_asked(stored: JobObject | None, pod: Pod) -> None:
    assert asked(stored, pod) == []


@pytest.mark.parametrize(
    ("status", "position"),
    [
        pytest.param({"run": RUN, "phase": "Running"}, 1, id="a run under way holds its slot"),
        pytest.param({}, 1, id="one that never ran is before the younger"),
        pytest.param({"run": RUN, "phase": "Queued"}, 1, id="one in line keeps its place"),
        pytest.param({"run": RUN, "phase": "Suspended"}, 0, id="a suspended one holds none"),
        pytest.param(
            {"run": RUN | {"waits": 1, "notBefore": "2999-01-01T00:00:00Z"}, "phase": "Pending"},
            0,
            id="nor one that pauses until something arrives",
        ),
        pytest.param({"run": RUN | {"endTime": "2026-03-01T12:00:00Z"}}, 0, id="nor one at rest"),
    ],
)
def test_a_new_leader_knows_who_holds_a_slot_and_who_waits(
    status: dict[str, Any], position: int
) -> None:
    operator = an_operator(max_concurrent_runs=2)
    operator.limits.runs.hold("uid-of-another")
    operator.watches.jobs.store.put(a_stored(**status))
    operator.remember_runs()
    assert position_of(operator, a_young_job()) == position


@pytest.mark.parametrize(("phase", "position"), [("Running", 1), ("Succeeded", 0)])
def test_a_suspended_run_whose_pod_still_lives_is_counted_after_a_restart(
    phase: str, position: int
) -> None:
    operator = an_operator(max_concurrent_runs=1)
    operator.watches.jobs.store.put(a_stored(run=RUN, phase="Suspended"))
    operator.watches.pods.store.put(a_pod(phase))
    operator.remember_runs()
    assert position_of(operator, a_young_job()) == position


def a_young_job() -> FineTuneJob:
    job = a_job()
    meta = job.metadata.model_copy(
        update={"name": "z", "uid": "uid-z", "creation_timestamp": START}
    )
    return job.model_copy(update={"metadata": meta})


def taken(operator: Operator) -> list[Key]:
    async def all_keys() -> list[Key]:
        return [await operator.queue.get() for _ in range(len(operator.queue))]

    return asyncio.run(all_keys())


def test_a_base_model_wakes_the_jobs_that_name_it() -> None:
    operator = an_operator()
    operator.watches.jobs.store.put(a_stored())
    base = JobObject(Meta("small", "ml", "uid-b", "8"))
    operator.watches.base_model_changed(None, base)
    operator.watches.base_model_changed(None, JobObject(Meta("other", "ml", "uid-o", "9")))
    assert taken(operator) == [("ml", "intents")]


def test_children_wake_their_job_and_strangers_nobody() -> None:
    operator = an_operator()
    operator.watches.pod_changed(None, a_pod())
    operator.watches.child_changed(Job(Meta("j", "ml", "u", labels=LABELS)), None)
    operator.watches.child_changed(None, Job(Meta("j", "ml", "u")))
    assert taken(operator) == [("ml", "intents")]


def a_child(uid: str = "job-1") -> Job:
    return Job(Meta("j", "ml", uid, labels=LABELS))


def a_pod_of(uid: str = "job-1", phase: str = "Failed") -> Pod:
    pod = a_pod(phase)
    pod.metadata.owner_references = [OwnerReference("Job", "j", uid, controller=True)]
    return pod


def test_the_word_of_a_pod_that_goes_is_kept_until_its_job_goes() -> None:
    operator = an_operator()
    operator.watches.children.store.put(a_child())
    operator.watches.pod_changed(a_pod_of(), None)
    kept = operator.ended.of(["job-1"], cached=[])
    assert [pod.metadata.uid for pod in kept] == ["pod-1"]
    assert operator.ended.of(["job-1"], cached=kept) == []
    operator.watches.child_changed(a_child(), None)
    assert len(operator.ended) == 0


def test_the_word_of_a_pod_whose_job_was_only_just_created_is_kept() -> None:
    operator = an_operator()
    operator.ledger.created("uid-1", a_child())
    operator.watches.pod_changed(a_pod_of(), None)
    assert len(operator.ended) == 1
    operator.watches.child_changed(a_child(), a_child("job-2"))  # by a relist
    assert len(operator.ended) == 0


@pytest.mark.parametrize(
    ("child", "pod"),
    [
        pytest.param(a_child(), a_pod_of(phase="Running"), id="it had not ended"),
        pytest.param(a_child("job-2"), a_pod_of(), id="its Job is gone, another has the name"),
        pytest.param(a_child(), a_pod("Failed"), id="it belongs to no Job"),
    ],
)
def test_of_no_other_pod_anything_is_kept(child: Job, pod: Pod) -> None:
    operator = an_operator()
    operator.watches.children.store.put(child)
    operator.watches.pod_changed(pod, None)
    assert len(operator.ended) == 0


def test_what_is_kept_of_one_job_is_bounded() -> None:
    operator = an_operator()
    operator.watches.children.store.put(a_child())
    for number in range(20):
        pod = a_pod_of()
        pod.metadata.uid = f"pod-{number}"
        operator.watches.pod_changed(pod, None)
    kept = operator.ended.of(["job-1"], cached=[])
    assert [pod.metadata.uid for pod in kept] == [f"pod-{n}" for n in (16, 17, 18, 19)]


def test_the_echo_of_an_own_write_wakes_nobody() -> None:
    operator = an_operator()
    operator.ledger.remember(a_stored())
    operator.watches.job_changed(None, a_stored())
    assert taken(operator) == []


def an_operator_in(*namespaces: str) -> Operator:
    return an_operator(watch_namespaces=",".join(namespaces), max_concurrent_runs=1)


def seen_whole(operator: Operator, namespace: str) -> None:
    for kind in operator.watches.territory.kinds:
        operator.watches.territory.seen(kind, namespace)


def test_what_waits_in_a_namespace_is_looked_at_once_it_is_seen_whole() -> None:
    operator = an_operator_in("ml")
    operator.watches.jobs.store.put(a_stored())
    operator.watches.territory.seen("finetunejobs", "ml")
    assert taken(operator) == []
    seen_whole(operator, "ml")
    assert taken(operator) == [("ml", "intents")]


def test_nothing_is_decided_in_a_namespace_that_is_not_seen_whole() -> None:
    operator = an_operator_in("ml", "nlp")
    seen_whole(operator, "nlp")
    operator.watches.jobs.store.put(a_stored())
    assert asyncio.run(operator.workers.reconcile(("ml", "intents"))) == NEVER  # asks nobody


def test_a_namespace_that_is_refused_holds_no_slot_and_no_place_in_line() -> None:
    operator = an_operator_in("ml", "nlp")
    operator.watches.jobs.store.put(a_stored(run=RUN, phase="Running"))
    operator.remember_runs()
    assert position_of(operator, a_young_job()) == 0  # it could not be seen then
    seen_whole(operator, "ml")
    operator.remember_runs()
    operator.limits.forget("uid-z")
    assert position_of(operator, a_young_job()) == 1
    operator.watches.territory.refused("pods", "ml", ApiError(403, "Forbidden", "no"))
    assert position_of(operator, a_young_job()) == 0


def test_a_store_that_was_put_back_ends_the_process_whichever_watch_finds_it() -> None:
    for reflector in an_operator().watches.named().values():
        for scope in reflector._scopes:  # noqa: SLF001 - what it was told to call
            with pytest.raises(KubeError, match="put back"):
                scope._on_rewind()  # noqa: SLF001


def test_the_echo_of_an_own_create_wakes_nobody_and_any_later_change_does() -> None:
    operator = an_operator()
    operator.ledger.created("uid-1", a_child())
    operator.watches.child_changed(None, a_child())
    assert taken(operator) == []
    operator.watches.child_changed(a_child(), a_child())
    assert taken(operator) == [("ml", "intents")]
