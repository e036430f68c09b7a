"""Several jobs, several operators: slots, progress, restarts and handovers."""

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from builders.operated import Desk, operated
from cluster.plane import ControlPlane, free_port
from cluster.pods import Pod, ignoring_absence
from cluster.process import ProcessDied, wait_until

from trainer.contract.progress import Progress

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


def test_of_three_jobs_and_one_slot_the_oldest_runs_and_the_others_know_their_place(
    plane: ControlPlane, namespace: str
) -> None:
    remove_jobs_of_earlier_tests(plane)  # slots are of the whole cluster
    with operated(plane, namespace, watch_namespaces=namespace, max_concurrent_runs=1) as desk:
        for name in ("a", "b", "c"):
            desk.apply(name)
        desk.until_phase("Running", name="a")
        place = {name: desk.until_phase("Queued", name=name) for name in ("b", "c")}
        assert "position 1 " in message_of(place["b"])
        desk.until(lambda s: "position 2 " in message_of(s), "c is second", "c")
        assert len(desk.jobs()) == 1
        desk.succeed("a")
        desk.until_phase("Running", name="b")
        desk.until(lambda s: "position 1 " in message_of(s), "c is next", "c")
        plane.api.delete(desk.path("b"))
        desk.until_phase("Running", name="c")


def test_a_resumed_job_stands_in_line_and_goes_on_when_it_is_its_turn(
    plane: ControlPlane, namespace: str
) -> None:
    remove_jobs_of_earlier_tests(plane)
    with operated(plane, namespace, watch_namespaces=namespace, max_concurrent_runs=1) as desk:
        desk.apply("a")
        pod = desk.kubelet.pod("prepare", job="a").running()
        desk.apply("b")
        desk.until_phase("Queued", name="b")
        desk.edit("a", suspend=True)
        pod.gone()
        desk.until_phase("Running", name="b")  # what is suspended gives its slot back
        desk.edit("a", suspend=False)
        queued = desk.until_phase("Queued", name="a")
        assert "position 1 " in message_of(queued)
        assert {job["metadata"]["labels"]["tunekeeper.dev/job"] for job in desk.jobs()} == {"b"}
        desk.succeed("b")
        status = desk.until_phase("Running", "Preparing", "a")
        assert status["run"]["number"] == 1


def remove_jobs_of_earlier_tests(plane: ControlPlane) -> None:
    root = "/apis/tunekeeper.dev/v1alpha1"
    for item in plane.api.get(f"{root}/finetunejobs")["items"]:
        meta = item["metadata"]
        path = f"{root}/namespaces/{meta['namespace']}/finetunejobs/{meta['name']}"
        ignoring_absence(lambda path=path: plane.api.delete(path))


def message_of(status: dict) -> str:
    found = [one for one in status.get("conditions", []) if one["type"] == "Finished"]
    return str(found[0]["message"]) if found else ""


def test_a_restart_in_the_middle_loses_nothing_and_writes_nothing(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        desk.apply()
        desk.kubelet.pod("prepare").running().succeeded()
        pod = desk.kubelet.pod("train").running()
        desk.until_phase("Running", "Training")
        wait_until(lambda: ready_count(desk) == 1, "the Job is ready")
        before = plane.api.get(desk.path(""))
        desk.stop()
        desk.start()
        wait_until(lambda: "\ntunekeeper_leader 1.0" in desk.read("/metrics"), "it leads")
        assert desk.writes(desk.path(""), before) == []
        assert desk.writes(desk.jobs_path, before) == []
        series = f'finetunejob="intents",namespace="{namespace}",phase="Running"}} 1.0'
        assert f"tunekeeper_job_phase{{{series}" in desk.read("/metrics")  # without a write
        desk.stop()
        pod.succeeded()
        desk.start()
        desk.kubelet.pod("judge").running().succeeded()
        desk.until_phase("Succeeded", "Promote")
        assert len(desk.jobs()) == 3


def ready_count(desk: Desk) -> int:
    return sum(job["status"].get("ready", 0) for job in desk.jobs())


def test_sigterm_ends_with_0_and_frees_the_lease(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        desk.apply()
        desk.until_phase("Running", "Preparing")
        desk.stop()
        with pytest.raises(ProcessDied, match="exited 0"):
            desk.process.check()
        lease = plane.api.get(
            "/apis/coordination.k8s.io/v1/namespaces/tunekeeper-system/leases/tunekeeper"
        )
        assert not lease["spec"].get("holderIdentity")
        wait_until(lambda: desk.events("RunStarted"), "the event was written before it went")


def test_a_lease_that_is_taken_away_ends_the_process(plane: ControlPlane, namespace: str) -> None:
    with operated(plane, namespace) as desk:
        wait_until(lambda: "\ntunekeeper_leader 1.0" in desk.read("/metrics"), "it leads")
        path = "/apis/coordination.k8s.io/v1/namespaces/tunekeeper-system/leases/tunekeeper"
        plane.api.patch(path, {"spec": {"holderIdentity": "somebody-else"}})
        wait_until(lambda: not desk.process.is_alive(), "it ends")
        with pytest.raises(ProcessDied, match="exited 1"):
            desk.process.check()


def test_a_standby_goes_on_where_a_killed_leader_stopped(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace) as desk:
        desk.apply()
        desk.kubelet.pod("prepare").running()
        standby = Desk(plane, namespace, desk.kubelet, desk.settings)
        standby.start()  # ready, though it does not lead
        assert "\ntunekeeper_leader 0.0" in standby.read("/metrics")
        try:
            desk.kill()
            desk.kubelet.pod("prepare").succeeded()
            desk.kubelet.pod("train").running().succeeded()
            desk.kubelet.pod("judge").running().succeeded()
            standby.until_phase("Succeeded", "Promote")
            assert len(desk.jobs()) == 3
        finally:
            standby.process.stop()


@pytest.mark.alone
def test_one_pod_that_hangs_or_talks_nonsense_does_not_delay_the_progress_of_another(
    plane: ControlPlane, namespace: str
) -> None:
    port = free_port("127.0.0.1")
    with operated(plane, namespace, progress_port=port) as desk, ExitStack() as stack:
        pods = {}
        for number, name in enumerate(("good", "hangs", "garbage", "huge", "liar"), start=2):
            desk.apply(name)
            pods[name] = desk.kubelet.pod("prepare", job=name)
            pods[name].ip = f"127.0.0.{number}"
        percent = [10.0]
        answers: dict[str, Answer] = {
            "good": lambda h: say(h, a_progress(pods["good"], percent[0])),
            "hangs": lambda _: time.sleep(3),
            "garbage": lambda h: say(h, b"\x00\xff{" * 100),
            "huge": lambda h: say(h, b"x" * 1_000_000),
            "liar": lambda h: say(h, a_progress(pods["good"], 99)),
        }
        for name, answer in answers.items():
            stack.enter_context(served(pods[name].ip, port, answer))
            pods[name].running(pods[name].ip)
        for wanted in (10, 20, 30, 40):
            percent[0] = wanted
            start_s = time.monotonic()
            desk.until(
                lambda s, wanted=wanted: s.get("progress", {}).get("percent") == wanted,
                f"progress is {wanted}",
                "good",
            )
            assert time.monotonic() - start_s < 3  # the period is 0.2 s, a hanging pod takes 1.5
        for name in ("hangs", "garbage", "huge", "liar"):
            assert "progress" not in desk.status(name)
            assert desk.status(name)["phase"] == "Running"


def a_progress(pod: Pod, percent: float) -> bytes:
    told = Progress(
        uid=pod.labels["tunekeeper.dev/uid"],
        run=1,
        stage=pod.stage,
        attempt=1,
        pod_uid=pod.uid,
        percent=percent,
    )
    return told.model_dump_json().encode()


def say(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def served(address: str, port: int, answer: Answer) -> Iterator[None]:
    """A stage's progress server, played."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                answer(self)
            except OSError:
                return  # the poller had enough

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            del format, args

    server = http.server.ThreadingHTTPServer((address, port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
