"""The life of a BaseModel: a real API server, the real operator, pods that are played."""

from datetime import datetime, timedelta
from itertools import groupby

from builders.gitops import KSTATUS, ArgoCheck
from builders.lives import CHECKS
from builders.operated import Desk, operated
from builders.watched import NAME, SOURCE, BaseDesk, ready
from cluster.api import Json
from cluster.kstatus import kstatus
from cluster.plane import ControlPlane
from cluster.process import wait_until

from trainer.contract.errand import Cause
from trainer.contract.failures import FailureClass

GIT = {"git": {"url": "https://git.acme.test/manifests", "secretRef": {"name": "forge"}}}


def time_of(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_the_first_look_makes_it_ready(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        base = BaseDesk(desk)
        before = base.apply(
            source={"huggingFace": {"repo": "acme/tiny", "secretRef": {"name": "hf"}}}
        )
        pod = base.look()
        status = base.until_ready("Unknown", "Resolving")
        assert (pod.asked.number, pod.asked.known, pod.asked.memo) == (1, None, "")
        mount = next(m for m in pod.container["volumeMounts"] if m["name"] == "secret-base")
        assert mount == {
            "name": "secret-base",
            "mountPath": "/var/run/tunekeeper/base",
            "readOnly": True,
        }
        assert status["errand"]["number"] == 1
        pod.found("a")
        status = base.until_ready("True", "Resolved")
        assert status["latest"]["revision"] == "rev-a"
        assert status["observedGeneration"] == 1
        wait_until(lambda: base.events("Resolved"), "the event")
        assert len(base.versions(before)) == 2  # recorded before it started, and its end
        (job,) = desk.jobs()
        assert job["spec"]["activeDeadlineSeconds"] == 3600
        assert len(job["metadata"]["name"]) <= 52


def test_kubectl_shows_what_matters_and_waits_for_it(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        BaseDesk(desk).resolved()
        shown = plane.kubectl("get", "basemodels", "-n", namespace, "-o", "wide").stdout
        head, row = shown.splitlines()
        assert head.split() == ["NAME", "READY", "REVISION", "CHECKED", "AGE", "REASON"]
        assert row.split()[:3] == [NAME, "True", "rev-a"]
        assert row.split()[-1] == "Resolved"
        wait = ("wait", "--for=condition=Ready", f"basemodel/{NAME}", "-n", namespace)
        plane.kubectl(*wait, "--timeout=10s")


def test_an_edited_readme_is_no_change(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        base = BaseDesk(desk)
        first = base.resolved()
        before = base.seen()
        base.check("now")
        pod = base.look(2)
        assert pod.asked.known.revision == "rev-a"
        pod.found("a2")
        status = base.until_ended(2)
        assert status["latest"] == first["latest"]
        assert "history" not in status or status["history"] == []
        assert status["conditions"] == first["conditions"]
        assert [event["reason"] for event in base.events()] == ["Resolved"]
        versions = base.versions(before)
        assert len(versions) == 3  # the annotation, the record and its end
        assert desk.writes(base.all, plane.api.get(base.all)) == []


def test_a_new_content_settles_before_it_counts(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        base = BaseDesk(desk)
        base.resolved(settleSeconds=2)
        base.check("now")
        base.look(2).found("b")
        seen = base.until_ready("True", "Settling")
        assert seen["latest"]["revision"] == "rev-a"
        assert seen["candidate"]["revision"] == "rev-b"
        base.look(3).found("b")
        status = base.until(lambda s: s["latest"]["revision"] == "rev-b", "it counts")
        stood = time_of(status["latest"]["observedTime"]) - time_of(seen["candidate"]["firstSeen"])
        assert stood >= timedelta(seconds=2)
        assert [entry["revision"] for entry in status["history"]] == ["rev-a"]
        assert "candidate" not in status
        wait_until(lambda: base.events("NewRevisionAvailable"), "the event")
        (event,) = base.events("NewRevisionAvailable")
        assert event["note"] == "revision rev-b follows rev-a"


def test_a_flapping_source_leaves_no_trace(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        base = BaseDesk(desk)
        first = base.resolved(settleSeconds=1)
        base.check("now")
        for number, name in enumerate("bcba", start=2):
            base.look(number).found(name)
        status = base.until(lambda s: s["errand"]["number"] == 5 and "candidate" not in s, "calm")
        assert status["latest"] == first["latest"]
        assert not status.get("history")
        assert base.events("NewRevisionAvailable") == []
        assert len(desk.jobs()) <= 3  # the newest two, and one on its way out


def test_a_rate_limit_is_waited_for(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        base = BaseDesk(desk)
        base.apply()
        limited = {"cause": Cause.RATE_LIMITED, "retry_after_seconds": 4}
        base.look(1).running().failed(FailureClass.UNAVAILABLE, "too many requests", **limited)
        before = base.until_ready("False", "RateLimited")
        base.look(2).found("a")
        after = base.until_ready("True", "Resolved")
        paused = time_of(after["errand"]["startTime"]) - time_of(before["errand"]["endTime"])
        assert paused >= timedelta(seconds=4)


def test_what_is_not_found_stalls_and_heals(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        base = BaseDesk(desk)
        base.apply()
        text = "acme/tiny has no branch main"
        base.look(1).running().failed(FailureClass.NOT_FOUND, text)
        status = base.until_ready("False", "NotFound")
        assert text in ready(status)["message"]
        assert [s.status for s in kstatus([base.seen()])] == ["Failed"]
        base.look(2).found("a")
        base.until_ready("True", "Resolved")
        assert [s.status for s in kstatus([base.seen()])] == ["Current"]


def test_garbage_as_a_last_word_is_no_word(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        base = BaseDesk(desk)
        base.apply()
        base.look(1).running().crashed(0, message="{" * 4000)
        base.until_ready("False", "Unexpected")
        base.look(2).found("a")
        base.until_ready("True", "Resolved")


def test_suspended_nothing_is_looked_at(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        base = BaseDesk(desk)
        base.resolved()
        base.edit(suspend=True)
        base.until_ready("True", "Suspended")
        before = base.check("now")
        assert desk.writes(base.all, before) == []
        assert len(desk.jobs()) == 1
        base.edit(suspend=False)
        base.look(2).found("a")
        base.until_ready("True", "Resolved")


def test_suspending_ends_the_look_under_way(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        base = BaseDesk(desk)
        base.apply()
        pod = base.look(1).running()
        base.edit(suspend=True)
        pod.gone()
        wait_until(lambda: desk.jobs() == [], "its Job is gone")
        assert "lookFailure" not in base.until_ready("Unknown", "Suspended")


def test_a_revision_is_written_back_with_the_secret_of_the_forge_alone(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        base = BaseDesk(desk)
        base.apply(writeBack=GIT, settleSeconds=0)
        base.look(1).found("a")
        pod = base.writing(2)
        mounts = {m["mountPath"] for m in pod.container["volumeMounts"]}
        assert {path for path in mounts if "run" in path} == {"/var/run/tunekeeper/git"}
        assert (pod.asked.new.revision, pod.asked.old) == ("rev-a", None)
        pod.running().failed(FailureClass.UNAVAILABLE, "the forge is down")
        base.until_ready("False", "WriteBackFailed")
        base.writing(3).running().succeeded(commit="c1", changed_files=1)
        base.until_ready("True", "Resolved")
        base.check("now")
        base.look(4).found("b")
        pod = base.writing(5)
        assert (pod.asked.new.revision, pod.asked.old.revision) == ("rev-b", "rev-a")
        pod.running().succeeded(commit="c2", changed_files=1)
        status = base.until(lambda s: s.get("writeBack", {}).get("commit") == "c2", "written")
        assert status["writeBack"]["revision"] == "rev-b"
        wait_until(lambda: len(base.events("WrittenBack")) == 2, "both events")


def test_an_operator_that_is_killed_goes_on_with_the_errand(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        base = BaseDesk(desk)
        base.apply()
        pod = base.look(1).running()
        before = base.until_ready("Unknown", "Resolving")
        desk.kill()
        pod.succeeded(found={"revision": "rev-a", "contentDigest": f"sha256:{'a' * 64}"})
        desk.start()
        status = base.until_ready("True", "Resolved")
        assert status["errand"]["number"] == before["errand"]["number"] == 1
        assert len(desk.jobs()) == 1


def test_a_deleted_one_leaves_nothing_that_it_owned(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        base = BaseDesk(desk)
        base.resolved()
        series = f'basemodel="{NAME}",namespace="{namespace}"'
        series_of = f'namespace="{namespace}",basemodel="{NAME}"'
        wait_until(lambda: {series, series_of} & lines_in(desk), "its series are there")
        base.check("now")
        base.look(2).running()
        plane.api.delete(base.path)
        wait_until(lambda: desk.jobs() == [], "its Jobs are gone")
        pods = f"/api/v1/namespaces/{namespace}/pods"
        wait_until(lambda: plane.api.get(pods)["items"] == [], "its pods are gone")
        wait_until(lambda: not {series, series_of} & lines_in(desk), "its series are gone")


def lines_in(desk: Desk) -> set[str]:
    """The label sets of the series about BaseModels."""
    lines = desk.read("/metrics").splitlines()
    ours = [line for line in lines if line.startswith("tunekeeper_basemodel_ready{")]
    return {line.partition("{")[2].partition("}")[0] for line in ours}


def test_the_metrics_say_what_happened(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        base = BaseDesk(desk)
        base.apply(settleSeconds=0)
        base.look(1).running().failed(FailureClass.NOT_FOUND)
        base.look(2).found("a")
        base.until_ready("True", "Resolved")
        base.check("now")
        base.look(3).found("b")
        base.until(lambda s: s["latest"]["revision"] == "rev-b", "it counts")
        page = desk.read("/metrics")
        mine = [line for line in page.splitlines() if f'namespace="{namespace}"' in line]
        told = {line.partition("{")[0] + line.rpartition("}")[2]: line for line in mine}
        assert "tunekeeper_basemodel_ready 1.0" in told
        assert "tunekeeper_basemodel_updates_total 1.0" in told
        checks = [line for line in mine if "checks_total" in line]
        assert sorted(line.rpartition(" ")[2] for line in checks) == ["1.0", "2.0"]
        assert any('result="NotFound"' in line for line in checks)


def test_a_job_of_somebody_else_under_the_childs_name_is_shown_and_left_alone(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        base = BaseDesk(desk)
        base.apply(suspend=True)
        base.until_ready("Unknown", "Suspended")
        name = child_name_of(base.seen())
        plane.api.post(desk.jobs_path, a_foreign_job(name))
        base.edit(suspend=False)
        status = base.until_ready("False", "NameConflict")
        assert name in ready(status)["message"]
        foreign = plane.api.get(f"{desk.jobs_path}/{name}")
        assert "tunekeeper.dev/uid" not in foreign["metadata"].get("labels", {})
        background = {"propagationPolicy": "Background"}
        plane.api.delete(f"{desk.jobs_path}/{name}", background)
        base.look(1).found("a")
        base.until_ready("True", "Resolved")


def child_name_of(seen: Json) -> str:
    from controller.core.naming import errand_name  # noqa: PLC0415 - its name is part of the API
    from trainer.contract.errand import Errand  # noqa: PLC0415

    meta = seen["metadata"]
    return errand_name(meta["name"], meta["uid"], errand=Errand.RESOLVE, number=1)


def a_foreign_job(name: str) -> Json:
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {"name": "c", "image": "i", "securityContext": security}
    pod = {"restartPolicy": "Never", "containers": [container]}
    return {"metadata": {"name": name}, "spec": {"suspend": True, "template": {"spec": pod}}}


def test_an_image_that_cannot_be_had_shows_while_it_lasts(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        base = BaseDesk(desk)
        base.apply()
        pod = base.look(1).cannot_pull()
        status = base.until_ready("False", "ImagePull")
        assert "the operator's setting image" in ready(status)["message"]
        pod.found("a")
        base.until_ready("True", "Resolved")


def test_a_directory_is_refused_on_a_cluster(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        base = BaseDesk(desk)
        base.apply(source={"directory": {"path": "/cache/base"}})
        base.until_ready("False", "InvalidSpec")
        assert desk.jobs() == []
        base.edit(source={**SOURCE, "directory": None})
        base.look(1).found("a")
        base.until_ready("True", "Resolved")


def test_kstatus_and_argo_cd_read_every_version_of_a_recorded_life(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        base = BaseDesk(desk)
        before = base.apply(settleSeconds=1)
        base.look(1).running().failed(FailureClass.UNAVAILABLE)
        base.look(2).running().failed(FailureClass.NOT_FOUND)
        base.look(3).found("a")
        base.until_ready("True", "Resolved")
        base.check("now")
        base.look(4).found("b")
        base.look(5).found("b")
        base.until(lambda s: s["latest"]["revision"] == "rev-b", "it counts")
        base.edit(suspend=True)
        base.until_ready("True", "Suspended")
        versions = base.versions(before)
        read = [seen.status for seen in kstatus(versions)]
        check = ArgoCheck(CHECKS / "BaseModel" / "health.lua")
        assert [KSTATUS[check.health(each)["status"]] for each in versions] == read
        said = [
            (status, ready(v.get("status", {})).get("reason", ""))
            for status, v in zip(read, versions, strict=True)
        ]
        assert [each for each, _ in groupby(said)] == [
            ("InProgress", "Resolving"),
            ("InProgress", "Unavailable"),
            ("Failed", "NotFound"),
            ("Current", "Resolved"),
            ("Current", "Settling"),
            ("Current", "Resolved"),
            ("InProgress", "Resolved"),  # edited, and not seen yet
            ("Current", "Suspended"),
        ]


def test_a_new_revision_wakes_the_jobs_that_name_it(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        base = BaseDesk(desk)
        base.resolved(settleSeconds=0)
        desk.apply(baseModel={"name": NAME})
        pod = desk.kubelet.pod("prepare").running()
        assert pod.request.spec.base_model.revision == "rev-a"
        word = {"base_revision": "rev-a", "base_digest": f"sha256:{'a' * 64}"}
        pod.succeeded(**word)
        desk.kubelet.pod("train").running()
        assert desk.condition("BaseModelCurrent")["status"] == "True"
        base.check("now")
        base.look(2).found("b")
        desk.until(
            lambda _: desk.condition("BaseModelCurrent")["status"] == "False", "it is behind"
        )
        assert "rev-b" in desk.condition("BaseModelCurrent")["message"]
