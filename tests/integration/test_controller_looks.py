"""A restored fleet of BaseModels looks at its sources a few at a time, on a real API server."""

from builders.operated import Desk, operated
from builders.watched import BaseDesk, ready
from cluster.api import Json
from cluster.errandpod import ErrandPod
from cluster.kstatus import kstatus
from cluster.plane import ControlPlane
from cluster.process import wait_until

NAMES = tuple("abcdef")
LIMIT = 2


def unfinished(desk: Desk) -> list[Json]:
    """Pods of looks that live."""
    pods = desk.plane.api.get(f"/api/v1/namespaces/{desk.namespace}/pods")["items"]
    return [pod for pod in pods if pod["status"]["phase"] in ("Pending", "Running")]


def base_model_of(pod: Json) -> str:
    return str(pod["metadata"]["labels"]["tunekeeper.dev/base-model"])


def test_of_six_at_once_two_look_and_each_gets_its_turn(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace, max_concurrent_looks=LIMIT) as desk:
        bases = {name: BaseDesk(desk, name) for name in NAMES}
        created = {name: base.apply() for name, base in bases.items()}
        wait_until(lambda: len(unfinished(desk)) == LIMIT, "two look")
        looking = {base_model_of(pod) for pod in unfinished(desk)}
        queued = [name for name in NAMES if name not in looking]
        for name in queued:
            bases[name].until_ready("Unknown", "Queued")
        assert {seen.status for seen in kstatus(bases[name].seen() for name in queued)} == {
            "InProgress"
        }
        most = finish_all(desk)
        assert most == LIMIT
        for name, base in bases.items():
            base.until_ready("True", "Resolved")
            versions = base.versions(created[name])
            mine = [one["status"] for one in versions if one["metadata"]["name"] == name]
            reasons = [ready(status)["reason"] for status in mine if ready(status)]
            waited = ["Queued"] if name in queued else []
            assert reasons == [*waited, "Resolving", "Resolved"]  # no write for a position


def finish_all(desk: Desk) -> int:
    """Let every look find its revision; how many there were at once, at most."""
    done: set[str] = set()
    most = 0
    while len(done) < len(NAMES):
        living = wait_until(lambda: unfinished(desk), "the next one looks")
        most = max(most, len(living))
        pod = ErrandPod(desk.kubelet.place, living[0])
        pod.found("a")
        done.add(base_model_of(living[0]))
    return most


def test_after_a_restart_no_more_look_at_once_than_before(
    plane: ControlPlane, namespace: str
) -> None:
    with operated(plane, namespace, max_concurrent_looks=LIMIT) as desk:
        for name in NAMES:
            BaseDesk(desk, name).apply()
        wait_until(lambda: len(unfinished(desk)) == LIMIT, "two look")
        for name in NAMES:
            BaseDesk(desk, name).until(ready, f"{name} is seen")
        before = desk.plane.api.get(BaseDesk(desk).all)
        desk.stop()
        desk.start()
        wait_until(lambda: "\ntunekeeper_leader 1.0" in desk.read("/metrics"), "it leads")
        assert desk.writes(BaseDesk(desk).all, before) == []  # looks for a second
        assert len(unfinished(desk)) == LIMIT
        assert finish_all(desk) == LIMIT
