"""Errands on a cluster: the Job that is asked for, and what Jobs and pods are read as."""

import json
from datetime import timedelta

import msgspec
import pytest
from builders.base_models import UID, WRITE_BACK, BaseScene, a_base_model
from builders.jobs import START
from builders.kube_jobs import at
from prometheus_client.parser import text_string_to_metric_families

from controller.api.compute import EnvVar
from controller.api.read import read_base_model_status
from controller.core.children import ChildState
from controller.shell.errands import errands_of
from controller.shell.errandtemplate import errand_manifest
from controller.shell.metrics import Metrics
from controller.shell.records import Job, Pod
from controller.shell.template import PodSettings
from trainer.contract.errand import Cause, ErrandOutcome, ResolveRequest
from trainer.contract.failures import FailureClass
from trainer.contract.request import joined_request

SECRETS = {
    "source": {"huggingFace": {"repo": "acme/tiny", "secretRef": {"name": "hub"}}},
    "writeBack": {"git": {**WRITE_BACK["git"], "secretRef": {"name": "forge"}}},
}
KEY = ("ml", "tiny")


def started(scene: BaseScene) -> dict:
    return errand_manifest(scene.base, scene.started[-1], PodSettings())


def looking(**spec) -> BaseScene:
    return BaseScene(base=a_base_model(**spec)).settled()


def container(job: dict) -> dict:
    (found,) = job["spec"]["template"]["spec"]["containers"]
    return found


def secrets(job: dict) -> set[str]:
    volumes = job["spec"]["template"]["spec"]["volumes"]
    return {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}


def test_a_look_is_a_small_short_job_of_its_object():
    job = started(looking())
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("BaseModel", UID, True)
    assert (job["spec"]["backoffLimit"], job["spec"]["activeDeadlineSeconds"]) == (0, 3600)
    assert container(job)["command"] == ["python", "-P", "-m", "trainer", "resolve"]
    assert container(job)["resources"] == {
        "requests": {"cpu": "100m", "memory": "256Mi"},
        "limits": {"memory": "2Gi"},
    }
    security = container(job)["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert job["spec"]["template"]["spec"]["automountServiceAccountToken"] is False


def test_its_request_is_in_its_environment():
    job = started(looking())
    env = {entry["name"]: entry.get("value", "") for entry in container(job)["env"]}
    request = ResolveRequest.model_validate_json(joined_request(env))
    assert (request.base_model.uid, request.number) == (UID, 1)


def test_a_look_has_the_variables_that_the_operator_gives_to_every_pod():
    scene = looking()
    proxy = EnvVar(name="HTTPS_PROXY", value="http://proxy:3128")
    job = errand_manifest(scene.base, scene.started[-1], PodSettings(env=(proxy,)))
    assert {"name": "HTTPS_PROXY", "value": "http://proxy:3128"} in container(job)["env"]


def test_each_errand_has_the_secret_of_its_own_work_and_no_other():
    look = looking(**SECRETS)
    assert secrets(started(look)) == {"hub"}
    writing = look.found("a")
    assert secrets(started(writing)) == {"forge"}
    assert started(writing)["spec"]["activeDeadlineSeconds"] == 600


def test_the_labels_hold_any_name():
    meta = a_base_model().metadata.model_copy(update={"name": "a" * 62 + "." + "b" * 100})
    scene = BaseScene(base=a_base_model().model_copy(update={"metadata": meta})).settled()
    job = started(scene)
    assert all(len(value) <= 63 for value in job["metadata"]["labels"].values())
    assert job["metadata"]["labels"]["tunekeeper.dev/base-model"] == "a" * 62
    assert len(job["metadata"]["name"]) <= 52


def a_kube_job(scene: BaseScene, **labels: str) -> Job:
    made = started(scene)
    meta = made["metadata"] | {"uid": "job-1", "creationTimestamp": at(0)}
    ours = {f"tunekeeper.dev/{name}": value for name, value in labels.items()}
    return msgspec.convert(
        {"metadata": meta | {"labels": meta["labels"] | ours}}, Job, strict=False
    )


def a_pod(job: Job, message: str = "") -> Pod:
    owner = {"kind": "Job", "name": job.metadata.name, "uid": job.metadata.uid, "controller": True}
    ended = {"exitCode": 0, "message": message, "finishedAt": at(9)}
    meta = {"name": "p", "namespace": "ml", "uid": "pod-1", "labels": job.metadata.labels}
    status = {
        "phase": "Succeeded",
        "containerStatuses": [{"name": "stage", "state": {"terminated": ended}}],
    }
    whole = {"metadata": meta | {"ownerReferences": [owner]}, "status": status}
    return msgspec.convert(whole, Pod, strict=False)


def test_a_job_and_its_pod_are_read_as_the_errand_with_its_word():
    scene = looking()
    job = a_kube_job(scene)
    told = ErrandOutcome(errand="resolve", uid=UID, number=1, message="hello")
    words = told.model_dump_json(exclude_none=True) + '\n{"memo": "m"}\n'
    decided = replace_status(job, "SuccessCriteriaMet")
    (child,) = errands_of(UID, [decided], [a_pod(job, words)])
    assert (child.errand, child.number, child.state) == ("resolve", 1, ChildState.FINISHED)
    assert (child.outcome.message, child.details.memo) == ("hello", "m")
    assert child.name == scene.live.name


def replace_status(job: Job, kind: str) -> Job:
    document = msgspec.to_builtins(job)
    condition = {"type": kind, "status": "True", "lastTransitionTime": at(10)}
    return msgspec.convert(document | {"status": {"conditions": [condition]}}, Job, strict=False)


@pytest.mark.parametrize(
    "message", ["", "{", "\x00" * 9000, '{"errand": "resolve"}', json.dumps({"stage": "train"})]
)
def test_nonsense_as_a_last_word_is_none(message):
    job = replace_status(a_kube_job(looking()), "SuccessCriteriaMet")
    (child,) = errands_of(UID, [job], [a_pod(job, message)])
    assert (child.outcome, child.details) == (None, None)


@pytest.mark.parametrize(
    "labels",
    [{"errand": "train"}, {"number": "0"}, {"number": "-1"}, {"number": "x"}, {"uid": "other"}],
)
def test_what_does_not_say_which_errand_it_is_is_none(labels):
    assert errands_of(UID, [a_kube_job(looking(), **labels)], []) == ()


@pytest.mark.parametrize(
    "errand",
    [{}, {"number": 3}, {"number": 3, "errand": "dance"}, {"number": 3, "errand": "resolve"}],
)
def test_a_stored_errand_that_names_nothing_is_none(errand):
    assert read_base_model_status(json.dumps({"errand": errand}).encode()).errand is None


def test_the_series_of_an_object_say_what_happened_and_go_with_it():
    first = looking(settleSeconds=0).failed(FailureClass.UNAVAILABLE, Cause.RATE_LIMITED)
    second = first.waited().found("a")
    third = second.looked("b")
    metrics = Metrics()
    before = BaseScene().status
    for scene in (first, second, third):
        metrics.base_models.put(KEY, scene.status)
        metrics.base_models.count(KEY, before, scene.status)
        before = scene.status
    told = scraped(metrics)
    assert told["tunekeeper_basemodel_ready"] == [1]
    assert sorted(told["tunekeeper_basemodel_checks_total"]) == [1, 2]
    assert told["tunekeeper_basemodel_updates_total"] == [1]
    looked_at = third.status.last_check_time.timestamp()
    assert told["tunekeeper_basemodel_last_check_timestamp_seconds"] == [looked_at]
    assert third.status.last_check_time > START + timedelta(seconds=1)
    metrics.base_models.remove(KEY)
    assert not any(name.startswith("tunekeeper_basemodel_") for name in scraped(metrics))


def test_write_backs_are_counted_by_result():
    scene = looking(writeBack=WRITE_BACK).found("a")
    failed = scene.failed(FailureClass.NOT_FOUND, Cause.MARKER_NOT_FOUND)
    done = failed.waited().succeeded(commit="c1")
    metrics = Metrics()
    for before, after in ((scene, failed), (failed, done)):
        metrics.base_models.put(KEY, after.status)
        metrics.base_models.count(KEY, before.status, after.status)
    assert scraped(metrics)["tunekeeper_basemodel_write_backs_total"] == [1, 1]


def test_the_last_success_is_kept_while_looks_fail():
    good = looking().found("a")
    bad = good.waited().failed(FailureClass.UNAVAILABLE)
    worse = bad.waited().failed(FailureClass.UNAVAILABLE)
    metrics = Metrics()
    for scene in (good, bad, worse):
        metrics.base_models.put(KEY, scene.status)
    told = scraped(metrics)
    success = good.status.last_check_time.timestamp()
    assert told["tunekeeper_basemodel_last_success_timestamp_seconds"] == [success]
    assert told["tunekeeper_basemodel_last_check_timestamp_seconds"][0] > success
    assert told["tunekeeper_basemodel_check_failures"] == [2]


@pytest.mark.parametrize(
    ("scene", "expected"),
    [
        (looking(), (0, 0, 0)),
        (looking().found("a"), (1, 0, 0)),
        (looking().failed(FailureClass.UNAVAILABLE), (0, 0, 0)),
        (looking().failed(FailureClass.NOT_FOUND), (0, 1, 0)),
        (looking(suspend=True), (0, 0, 1)),
    ],
    ids=["before the first look", "known", "it passes", "a person has to mend it", "suspended"],
)
def test_where_a_base_model_stands_is_told(scene, expected):
    metrics = Metrics()
    metrics.base_models.put(KEY, scene.status)
    told = scraped(metrics)
    names = ("ready", "stalled", "suspended")
    assert tuple(told[f"tunekeeper_basemodel_{name}"][0] for name in names) == expected


def test_failed_write_backs_in_a_row_are_told_until_one_succeeds():
    scene = looking(writeBack=WRITE_BACK).found("a")
    failed = scene.failed(FailureClass.UNAVAILABLE)
    metrics = Metrics()
    name = "tunekeeper_basemodel_write_back_failures"
    for status, expected in ((failed, 1), (failed.waited().succeeded(commit="c1"), 0)):
        metrics.base_models.put(KEY, status.status)
        assert scraped(metrics)[name] == [expected]


def test_counters_are_there_before_anything_happened():
    metrics = Metrics()
    metrics.base_models.put(KEY, looking().status)
    told = scraped(metrics)
    for name in ("checks", "updates", "write_backs"):
        assert told[f"tunekeeper_basemodel_{name}_total"] == [0]


def test_a_standby_tells_nothing():
    metrics = Metrics()
    metrics.base_models.put(KEY, looking().found("a").status)
    metrics.leading(is_leader=False)
    assert "tunekeeper_basemodel_ready" not in scraped(metrics)


def scraped(metrics: Metrics) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.value)
    return found
