"""What people and clusters get wrong: a clear condition, one Job at most, and quiet after it.

Every case lives at the same time, each in a namespace of its own, under one operator; what became
of it is looked at once, and each test reads off one case.
"""

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from builders.operated import SPEC, Desk, operated
from cluster.api import Json
from cluster.plane import ControlPlane
from cluster.pods import Kubelet
from cluster.process import wait_until

from controller.core.naming import child_name
from trainer.contract.failures import FailureClass
from trainer.contract.request import Stage

WATCHED_S = 10
LONG = "n" * 63
UNICODE = "Ordne ein: 申请 «плохо» 🙂"
LABELS = "tunekeeper.dev"

Act = Callable[[Desk], None]


@dataclass(frozen=True)
class Case:
    """One mistake, and what has to be said of it."""

    id: str
    phase: str
    reason: str
    words: tuple[str, ...] = ()
    spec: Json = field(default_factory=dict)
    name: str = "intents"
    before: Act | None = None
    after: Act | None = None
    jobs: int = 1
    """Of ours, at the end."""


@dataclass
class Seen:
    """What became of a case."""

    case: Case
    desk: Desk
    error: str = ""
    at_rest: Json = field(default_factory=dict)
    writes: list[Json] = field(default_factory=list)
    new_jobs: int = 0


def compute(**fields: Any) -> Json:
    return {"compute": {"gpus": 0, **fields}}


def posted(desk: Desk, kind: str, body: Json) -> None:
    desk.plane.api.post(f"/api/v1/namespaces/{desk.namespace}/{kind}", body)


def quota(desk: Desk, hard: Json) -> None:
    posted(desk, "resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": hard}})
    path = f"/api/v1/namespaces/{desk.namespace}/resourcequotas/q"
    wait_until(lambda: desk.plane.api.get(path).get("status", {}).get("hard"), "it is enforced")


def small_containers_only(desk: Desk) -> None:
    limits = [{"type": "Container", "max": {"memory": "1Mi"}}]
    posted(desk, "limitranges", {"metadata": {"name": "small"}, "spec": {"limits": limits}})


def preparing(desk: Desk, name: str = "intents") -> None:
    desk.kubelet.pod("prepare", job=name).running()


def says_unicode(desk: Desk) -> None:
    pod = desk.kubelet.pod("prepare").running()
    assert pod.request.spec.dataset.instruction == UNICODE
    pod.failed(FailureClass.INVALID_DATA, f"train.jsonl:3 {UNICODE}")


def cannot_pull(desk: Desk) -> None:
    pod = desk.kubelet.pod("prepare")
    assert pod.spec["imagePullSecrets"] == [{"name": "nope"}]
    pod.cannot_pull()


def our_labels(desk: Desk, stage: str) -> dict[str, str]:
    uid = desk.seen()["metadata"]["uid"]
    told = {"job": "intents", "uid": uid, "run": "1", "stage": stage, "attempt": "1"}
    ours = {f"{LABELS}/{name}": value for name, value in told.items()}
    return {"app.kubernetes.io/managed-by": "tunekeeper", **ours}


def foreign_job(desk: Desk) -> None:
    container = {"name": "x", "image": "x"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    meta = {"name": "somebody-elses", "labels": our_labels(desk, "train")}
    desk.plane.api.post(
        desk.jobs_path, {"metadata": meta, "spec": {"suspend": True, "template": template}}
    )
    preparing(desk)


def foreign_pod(desk: Desk) -> None:
    """It says that it is our train pod, and it is alive."""
    secure = {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {"name": "x", "image": "x", "securityContext": secure}
    meta = {"name": "somebody-elses", "labels": our_labels(desk, "train")}
    posted(desk, "pods", {"metadata": meta, "spec": {"containers": [container]}})
    desk.kubelet.pod("prepare").running().succeeded()


GIB = {"requests": {"memory": "1Gi"}, "limits": {"memory": "1Gi"}}
ENDS_LOW = {
    "retry": {"maxAttempts": 1},
    "historyLimit": 0,
    "ttlSecondsAfterFinished": 600,
    "lora": {"rank": 1, "alpha": 1},
    "training": {"seed": 0, "maxSteps": 1, "maxSequenceTokens": 16, "warmupPercent": 0},
}
ENDS_HIGH = {
    "retry": {"maxAttempts": 100},
    "historyLimit": 100,
    "lora": {"rank": 512, "alpha": 2048},
    "training": {"seed": 2147483647, "maxSequenceTokens": 1048576, "warmupPercent": 100},
}

CASES = [
    Case("a name of 63 characters", "Running", "Preparing", name=LONG,
         after=lambda desk: preparing(desk, LONG)),
    Case("a name with dots", "Running", "Preparing", name="a.b-c.9",
         after=lambda desk: preparing(desk, "a.b-c.9")),
    Case("unicode in what is asked and in what is said", "Failed", "InvalidData", (UNICODE,),
         spec={"dataset": {**SPEC["dataset"], "instruction": UNICODE}}, after=says_unicode),
    Case("numbers at their lower ends", "Running", "Preparing", spec=ENDS_LOW, after=preparing),
    Case("numbers at their upper ends", "Running", "Preparing", spec=ENDS_HIGH, after=preparing),
    Case("podLabels whose keys are no labels", "Failed", "InvalidSpec",
         ("spec.template", "name part must consist of", "change spec.compute"),
         compute(podLabels={"bad key!": "x"}), jobs=0),
    Case("podLabels whose values are no labels", "Failed", "InvalidSpec",
         ("a valid label must be", "change spec.compute"),
         compute(podLabels={"team": "no spaces allowed"}), jobs=0),
    Case("a foreign Job with our labels", "Running", "Preparing", after=foreign_job),
    Case("a foreign pod with our labels", "Pending", "Stopping",
         ("somebody-elses", "delete"), after=foreign_pod),
    Case("a priorityClassName that is not there", "Pending", "AdmissionDenied",
         ("no PriorityClass with name nope was found", "create what it names"),
         compute(priorityClassName="nope")),
    Case("a serviceAccountName that is not there", "Pending", "AdmissionDenied",
         ('serviceaccount "nope" not found', "create what it names"),
         compute(serviceAccountName="nope")),
    Case("a ResourceQuota on pods", "Pending", "QuotaExceeded",
         ("exceeded quota: q", "raise the quota"), before=lambda desk: quota(desk, {"pods": "0"})),
    Case("a ResourceQuota on Jobs", "Pending", "QuotaExceeded",
         ("exceeded quota: q", "raise the quota"),
         before=lambda desk: quota(desk, {"count/jobs.batch": "0"}), jobs=0),
    Case("a LimitRange that refuses", "Pending", "AdmissionDenied",
         ("maximum memory usage per Container is 1Mi", "change spec.compute"),
         compute(cpuStageResources=GIB), before=small_containers_only),
    Case("imagePullSecrets that are not there", "Pending", "ImagePull",
         ("spec.compute.imagePullSecrets",), compute(imagePullSecrets=[{"name": "nope"}]),
         after=cannot_pull),
]  # fmt: skip


@pytest.fixture(scope="module")
def seen(plane: ControlPlane) -> Iterator[dict[str, Seen]]:
    """Every case, lived to its end and then watched."""
    with ExitStack() as stack:
        operator = stack.enter_context(operated(plane, made_namespace(plane, "operator")))
        found = [Seen(case, begun(stack, operator, case)) for case in CASES]
        for one in found:
            lived(one)
        watched(plane, found)
        yield {one.case.id: one for one in found}
        for one in found:
            plane.api.delete(f"/api/v1/namespaces/{one.desk.namespace}")


def made_namespace(plane: ControlPlane, stem: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", stem.lower())[:40].strip("-")
    name = f"{words}-{secrets.token_hex(3)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    plane.api.post("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    wait_until(lambda: plane.api.find(account), f"{account} is made")
    return name


def begun(stack: ExitStack, operator: Desk, case: Case) -> Desk:
    """The case's object, in its own namespace and under the one operator."""
    plane = operator.plane
    kubelet = Kubelet(plane.api, made_namespace(plane, case.id))
    if case.after is not None:
        stack.enter_context(kubelet)
    desk = Desk(plane, kubelet.namespace, kubelet, {})
    desk.process, desk.health_port = operator.process, operator.health_port
    if case.before is not None:
        case.before(desk)
    desk.apply(case.name, **case.spec)
    return desk


def lived(one: Seen) -> None:
    """What goes wrong in one case is that case's failure alone."""
    case = one.case
    try:
        if case.after is not None:
            case.after(one.desk)
        one.desk.until_phase(case.phase, case.reason, case.name)
    except (AssertionError, TimeoutError) as error:
        one.error = str(error)


def watched(plane: ControlPlane, found: list[Seen]) -> None:
    """Ten seconds of all of them."""
    plane_paths = {
        kind: f"/apis/{group}/{kind}"
        for kind, group in (("finetunejobs", "tunekeeper.dev/v1alpha1"), ("jobs", "batch/v1"))
    }
    desk = found[0].desk
    for one in found:
        one.at_rest = one.desk.seen(one.case.name)
    before = plane.api.get(plane_paths["jobs"])
    lines = {
        kind: desk.writes(path, before, seconds=WATCHED_S) for kind, path in plane_paths.items()
    }
    for one in found:
        mine = [line for line in lines["finetunejobs"] if is_in(one.desk, line)]
        one.writes = mine
        made = [line for line in lines["jobs"] if line["type"] == "ADDED"]
        one.new_jobs = sum(is_in(one.desk, line) for line in made)


def is_in(desk: Desk, line: Json) -> bool:
    return bool(line["object"]["metadata"].get("namespace") == desk.namespace)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_bad_input_is_said_clearly_and_costs_nothing_more(
    seen: dict[str, Seen], case: Case
) -> None:
    one = seen[case.id]
    assert not one.error
    (said,) = [c["message"] for c in conditions(one) if c["type"] == "Finished"]
    assert [word for word in case.words if word not in said] == [], said
    assert is_stalled(one) == (case.phase == "Failed")
    assert len(ours(one)) == case.jobs
    assert one.writes == []
    assert one.new_jobs == 0


def conditions(one: Seen) -> list[Json]:
    return list(one.at_rest["status"]["conditions"])


def is_stalled(one: Seen) -> bool:
    return any((c["type"], c["status"]) == ("Stalled", "True") for c in conditions(one))


def ours(one: Seen) -> list[Json]:
    uid = one.at_rest["metadata"]["uid"]
    owners = [job["metadata"].get("ownerReferences", [{}])[0] for job in one.desk.jobs()]
    return [owner for owner in owners if owner.get("uid") == uid]


@pytest.mark.parametrize("name", [LONG, "a.b-c.9"], ids=["63 characters", "dots"])
def test_a_child_has_a_name_that_its_pods_can_bear(seen: dict[str, Seen], name: str) -> None:
    (one,) = [one for one in seen.values() if one.case.name == name]
    (job,) = one.desk.jobs()
    uid = one.at_rest["metadata"]["uid"]
    assert job["metadata"]["name"] == child_name(name, uid, run=1, stage=Stage.PREPARE, attempt=1)
    assert job["metadata"]["labels"][f"{LABELS}/job"] == name
    (pod,) = one.desk.kubelet.pods()
    assert len(pod["metadata"]["name"]) <= 63


def test_the_foreign_job_is_as_it_was(seen: dict[str, Seen]) -> None:
    one = seen["a foreign Job with our labels"]
    (job,) = [job for job in one.desk.jobs() if job["metadata"]["name"] == "somebody-elses"]
    assert job["metadata"]["generation"] == 1
    assert "deletionTimestamp" not in job["metadata"]


def test_when_the_foreign_pod_is_gone_the_next_stage_starts(seen: dict[str, Seen]) -> None:
    one = seen["a foreign pod with our labels"]
    path = f"/api/v1/namespaces/{one.desk.namespace}/pods/somebody-elses"
    one.desk.plane.api.delete(path, {"gracePeriodSeconds": 0})
    one.desk.kubelet.pod("train", attempt=2).running()  # the name of attempt 1 was taken
    one.desk.until_phase("Running", "Training")


def test_when_compute_is_corrected_the_job_that_had_no_pod_is_replaced(
    seen: dict[str, Seen],
) -> None:
    one = seen["a priorityClassName that is not there"]
    (refused,) = one.desk.jobs()
    one.desk.edit(compute={"priorityClassName": None})
    pod = one.desk.kubelet.pod("prepare")
    assert pod.spec.get("priorityClassName") is None
    (made,) = one.desk.jobs()
    assert made["metadata"]["uid"] != refused["metadata"]["uid"]
    one.desk.until(lambda s: s["phase"] == "Running", "it says so")
