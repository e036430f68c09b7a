"""The test control plane and the kubelet that the tests play, held to what real ones do."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from builders.plain_job import a_child_job, condition_of
from cluster import assets
from cluster.plane import ControlPlane
from cluster.pods import Kubelet
from cluster.process import Process, ProcessDied, wait_until

from trainer.contract.failures import EXIT_CODES, FailureClass

STARTER = """
import sys, time
from pathlib import Path
from cluster.process import Process
process = Process("sleeper", ["sleep", "600"], Path(sys.argv[1]))
print(process.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def kubelet(plane, namespace):
    with Kubelet(plane.api, namespace) as kubelet:
        yield kubelet


@pytest.fixture
def job(plane, namespace):
    """Path of a Job as the controller makes them."""
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    made = plane.api.post(path, a_child_job("intents-abcde-r1-train-1"))
    return f"{path}/{made['metadata']['name']}"


def ended(plane, job, kind):
    return wait_until(lambda: condition_of(plane.api.get(job), kind), f"{job} is {kind}")


def test_a_pod_that_succeeds_completes_its_job(plane, kubelet, job):
    pod = kubelet.pod("train").running("127.0.0.7")
    assert plane.api.get(pod.path)["status"]["podIP"] == "127.0.0.7"
    pod.succeeded()
    assert ended(plane, job, "Complete")
    seen = plane.api.get(pod.path)["status"]["containerStatuses"][0]["state"]["terminated"]
    assert '"stage":"train"' in seen["message"].splitlines()[0]


@pytest.mark.parametrize("failure", [FailureClass.DIVERGED, FailureClass.UNAVAILABLE])
def test_an_exit_code_of_the_contract_is_named_in_the_jobs_condition(plane, kubelet, job, failure):
    kubelet.pod("train").running().failed(failure)
    failed = ended(plane, job, "Failed")
    assert failed["reason"] == "PodFailurePolicy"
    assert f"exit code {EXIT_CODES[failure]}" in failed["message"]


def test_an_evicted_pod_fails_its_job_by_its_condition(plane, kubelet, job):
    kubelet.pod("train").running().evicted()
    assert "DisruptionTarget" in ended(plane, job, "Failed")["message"]


def test_a_deleted_pod_ends_as_interrupted_and_is_gone(plane, kubelet, job):
    pod = kubelet.pod("train").running()
    pod.deleted().gone()
    assert "exit code 23" in ended(plane, job, "Failed")["message"]


def test_a_foreground_delete_takes_the_pods_before_the_job(plane, kubelet, job):
    pod = kubelet.pod("train").running()
    kubelet.holds_deleted = True
    plane.api.delete(job, {"propagationPolicy": "Foreground"})
    wait_until(lambda: pod.seen()["metadata"].get("deletionTimestamp"), "the pod is told to stop")
    assert plane.api.find(job)
    kubelet.let_go()
    pod.gone()
    wait_until(lambda: plane.api.find(job) is None, "the job is gone")


@pytest.mark.usefixtures("job")
def test_what_keeps_a_pod_from_starting_is_told_by_its_status_and_an_event(plane, kubelet):
    pod = kubelet.pod("train").unschedulable()
    pod.cannot_pull("nowhere.example/none:1")
    events = plane.api.get(f"/api/v1/namespaces/{kubelet.namespace}/events")["items"]
    told = {event["reason"] for event in events if event["involvedObject"]["uid"] == pod.uid}
    assert told == {"FailedScheduling", "Failed"}
    waiting = pod.seen()["status"]["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "ImagePullBackOff"


def test_a_node_is_given_gpus(plane, kubelet):
    kubelet.set_gpus(2)
    node = plane.api.get(f"/api/v1/nodes/{kubelet.node}")
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "2"


def test_a_namespace_refuses_pods_that_are_not_restricted(plane, namespace):
    loose = {"metadata": {"name": "loose"}, "spec": {"containers": [{"name": "a", "image": "b"}]}}
    status, said = plane.api.raw("POST", f"/api/v1/namespaces/{namespace}/pods", loose)
    assert status == 403
    assert b"PodSecurity" in said


def test_a_service_account_has_only_its_own_rights(plane, namespace):
    account = plane.api_for("default", namespace)
    assert account.raw("GET", "/api/v1/pods")[0] == 403


def test_programs_die_with_a_parent_that_is_killed(tmp_path):
    command = [sys.executable, "-c", STARTER, str(tmp_path)]
    env = os.environ | {"PYTHONPATH": str(Path(assets.__file__).parents[1])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as parent:  # noqa: S603 - our own
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{child}/cmdline").exists(), "the child is dead")


def test_a_program_that_dies_is_shown_with_the_end_of_its_log(tmp_path):
    process = Process("loud", ["sh", "-c", "echo no such luck; exit 3"], tmp_path)
    wait_until(lambda: not process.is_alive(), "it ends")
    with pytest.raises(ProcessDied, match=r"(?s)loud exited 3.*no such luck"):
        process.check()


def test_a_server_that_cannot_start_says_why_and_leaves_nothing(tmp_path):
    plane = ControlPlane(folder=tmp_path, apiserver_flags=["--no-such-flag"])
    with pytest.raises(ProcessDied, match="unknown flag: --no-such-flag"):
        plane.start()
    assert not plane.etcd.is_alive()


def test_an_unknown_program_is_refused_with_the_known_ones():
    with pytest.raises(LookupError, match="kube-apiserver"):
        assets.binary("kube-proxy")


def test_kubebuilder_assets_win_over_the_cache(tmp_path, monkeypatch):
    program = tmp_path / "etcd"
    program.touch(mode=0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    assert assets.binary("etcd") == program
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "none"))
    with pytest.raises(LookupError, match="no directory; mend or unset it"):
        assets.binary("etcd")
