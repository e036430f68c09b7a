"""The CRDs on a real API server: how they are applied, shown and selected."""

import json

import pytest
import yaml
from builders.api import a_base_model_document, a_job_document
from cluster.process import wait_until

from controller.api.crd import crd_documents

MAX_BYTES = 100 << 10
GROUP = "tunekeeper.dev"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
STATUS = {
    "observedGeneration": 1,
    "phase": "Running",
    "conditions": [
        {
            "type": "Succeeded",
            "status": "Unknown",
            "reason": "Training",
            "message": "",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-03-01T12:00:00Z",
        }
    ],
    "run": {"number": 3, "baseModel": {"revision": "4f2a"}},
    "progress": {"stage": "train", "percent": 41, "trainLoss": "0.25"},
    "evaluation": {
        "metric": "ExactMatch",
        "arms": [
            {"name": "ZeroShot", "score": "0.1", "ciLow": "0", "ciHigh": "0.2", "n": 9},
            {"name": "Tuned", "score": "0.93", "ciLow": "0.9", "ciHigh": "0.95", "n": 9},
        ],
        "verdict": "Promote",
        "reason": "better",
        "delta": "0.8",
    },
}


def under(group):
    """Both CRDs as new kinds of another group, so that applying them is the first time."""
    for document in crd_documents():
        name = f"{document['spec']['names']['plural']}.{group}"
        yield document | {"metadata": {"name": name}, "spec": document["spec"] | {"group": group}}


def is_established(seen):
    conditions = (seen or {}).get("status", {}).get("conditions") or []
    return "Established" in {each["type"] for each in conditions if each["status"] == "True"}


@pytest.fixture
def jobs(namespace):
    return f"/apis/{GROUP}/v1alpha1/namespaces/{namespace}/finetunejobs"


@pytest.fixture
def shown(plane, namespace):
    def shown(*arguments):
        return plane.kubectl("--namespace", namespace, *arguments).stdout

    return shown


def reported(plane, jobs, name, **status):
    """A job whose status somebody wrote."""
    made = plane.api.post(jobs, a_job_document(name, compute={"queueName": "gpu"}))
    return plane.api.put(f"{jobs}/{name}/status", made | {"status": STATUS | status})


@pytest.mark.parametrize("flags", [[], ["--server-side"]], ids=["plain apply", "server-side"])
def test_both_crds_are_applied_and_established(plane, flags):
    group = "server.example.test" if flags else "plain.example.test"
    both = {"apiVersion": "v1", "kind": "List", "items": list(under(group))}
    plane.kubectl("apply", *flags, "-f", "-", stdin=both)
    names = [document["metadata"]["name"] for document in under(group)]
    for name in names:
        wait_until(lambda: is_established(plane.api.find(f"{CRDS}/{name}")), f"{name} serves")  # noqa: B023 - called at once
    again = plane.kubectl("apply", *flags, "-f", "-", stdin=both).stdout
    plane.kubectl("delete", "--wait=false", "crd", *names)
    assert "configured" not in again


@pytest.mark.parametrize("plural", ["finetunejobs", "basemodels"])
def test_a_crd_has_no_complaint_of_the_server(plane, plural):
    conditions = plane.api.get(f"{CRDS}/{plural}.{GROUP}")["status"]["conditions"]
    told = {condition["type"]: condition["status"] for condition in conditions}
    assert told["NamesAccepted"] == told["Established"] == "True"
    assert told.get("NonStructuralSchema", "False") == "False"
    assert told.get("KubernetesAPIApprovalPolicyConformant", "True") == "True"


@pytest.mark.parametrize("plural", ["finetunejobs", "basemodels"])
def test_a_crd_is_small_enough_for_a_plain_apply(pytestconfig, plural):
    path = pytestconfig.rootpath / "manifests" / "crd" / f"{plural}.yaml"
    assert path.stat().st_size < MAX_BYTES
    assert len(json.dumps(yaml.safe_load(path.read_text()), indent=1)) < MAX_BYTES


def test_the_files_apply_as_they_lie_in_the_tree(plane, pytestconfig):
    folder = pytestconfig.rootpath / "manifests" / "crd"
    for path in folder.glob("*s.yaml"):
        plane.kubectl("apply", "--server-side", "--dry-run=server", "-f", path)


@pytest.mark.parametrize(
    "document", [a_job_document(), a_base_model_document()], ids=lambda each: each["kind"]
)
def test_a_new_object_has_a_status_that_kstatus_takes_for_unfinished(plane, namespace, document):
    plural = f"{document['kind'].lower()}s"
    path = f"/apis/{GROUP}/v1alpha1/namespaces/{namespace}/{plural}"
    status = plane.api.post(path, document)["status"]
    assert (status["observedGeneration"], status["conditions"]) == (-1, [])


def test_the_short_name_shows_the_columns_of_everyday(plane, jobs, shown):
    reported(plane, jobs, "intents")
    header, row = (line.split() for line in shown("get", "ftj").splitlines())
    assert header == ["NAME", "PHASE", "VERDICT", "SCORE", "BASE", "PROGRESS", "AGE"]
    assert row[:-1] == ["intents", "Running", "Promote", "0.93", "4f2a", "41"]


def test_the_wide_view_adds_reason_run_base_and_queue(plane, jobs, shown):
    reported(plane, jobs, "intents")
    header, row = (line.split() for line in shown("get", "ftj", "-o", "wide").splitlines())
    assert header[7:] == ["REASON", "RUN", "BASECURRENT", "QUEUE"]
    assert row[7:] == ["Training", "3", "gpu"]


def test_the_category_lists_both_kinds(plane, namespace, jobs, shown):
    plane.api.post(jobs, a_job_document())
    path = f"/apis/{GROUP}/v1alpha1/namespaces/{namespace}/basemodels"
    plane.api.post(path, a_base_model_document())
    assert shown("get", "tunekeeper", "-o", "name").split() == [
        "basemodel.tunekeeper.dev/base",
        "finetunejob.tunekeeper.dev/demo",
    ]


@pytest.mark.parametrize(
    "selector", ["status.phase=Running", "status.evaluation.verdict=Promote"], ids=str
)
def test_jobs_are_selected_by_a_field_of_their_status(plane, jobs, shown, selector):
    reported(plane, jobs, "intents")
    reported(plane, jobs, "other", phase="Failed", evaluation=None)
    plane.api.post(jobs, a_job_document("new"))
    ask = ["get", "ftj", "-o", "name", "--field-selector", selector]
    told = wait_until(lambda: shown(*ask), "the watch cache has it")
    assert told.split() == ["finetunejob.tunekeeper.dev/intents"]


def test_the_status_is_written_apart_from_the_spec(plane, jobs):
    made = plane.api.post(jobs, a_job_document())
    path = f"{jobs}/demo"
    meddling = {"status": {"phase": "Running"}, "spec": made["spec"] | {"suspend": True}}
    by_status = plane.api.put(f"{path}/status", made | meddling)
    assert by_status["status"]["phase"] == "Running"
    assert by_status["spec"]["suspend"] is False
    assert by_status["metadata"]["generation"] == 1
    by_spec = plane.api.put(path, by_status | {"spec": meddling["spec"], "status": {}})
    assert by_spec["status"]["phase"] == "Running"
    assert by_spec["spec"]["suspend"] is True
    assert by_spec["metadata"]["generation"] == 2


def test_defaults_are_filled_in_to_the_depth_of_the_spec(plane, jobs):
    spec = plane.api.post(jobs, a_job_document())["spec"]
    assert spec["training"]["earlyStopping"] == {"patience": 3, "minDelta": "0"}
    assert [arm["name"] for arm in spec["evaluation"]["arms"]] == [
        "ZeroShot",
        "FewShot",
        "RetrievedFewShot",
    ]
    assert spec["compute"]["gpus"] == 1


def test_a_field_is_explained_by_its_description(plane):
    assert "Rank of the update." in plane.kubectl("explain", "ftj.spec.lora.rank").stdout


@pytest.mark.parametrize("flags", [["--validate=strict"], []], ids=["strict", "as kubectl is"])
def test_an_unknown_field_is_refused_by_kubectl_with_its_path(plane, namespace, flags):
    document = a_job_document(trainning={"epochs": 2}, lora={"r": 8})
    command = ["apply", "--namespace", namespace, *flags, "-f", "-"]
    ended = plane.kubectl(*command, stdin=document, check=False)
    assert ended.returncode == 1
    assert 'unknown field "spec.trainning"' in ended.stderr
    assert 'unknown field "spec.lora.r"' in ended.stderr
