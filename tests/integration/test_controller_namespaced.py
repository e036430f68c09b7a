"""The operator with Roles in some namespaces and no ClusterRole, installed as the sample has it."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from builders.operated import START_S, Desk, operated
from cluster.plane import ControlPlane
from cluster.pods import Kubelet
from cluster.process import wait_until

ROOT = Path(__file__).parents[2]
CRDS = ROOT / "manifests" / "crd"
SAMPLE = ROOT / "manifests" / "samples" / "namespaced"
DOCUMENTED = ("ml", "nlp")
STRANGE = "strange"
COLLECTED_S = 90
"""The garbage collector looks for kinds every 30 s, and the sample applies ours anew."""


@pytest.fixture(scope="module")
def roles() -> Iterator[ControlPlane]:
    """A cluster of its own: in the others' the operator may look everywhere."""
    crds = sorted(path for path in CRDS.glob("*.yaml") if path.name != "kustomization.yaml")
    with ControlPlane(early=crds) as plane:
        make_namespace(plane, STRANGE)
        plane.kubectl("apply", "--server-side", "--force-conflicts", "-k", SAMPLE)
        for name in DOCUMENTED:
            await_account(plane, name)
        yield plane


def make_namespace(plane: ControlPlane, name: str) -> None:
    plane.api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    await_account(plane, name)


def await_account(plane: ControlPlane, name: str) -> None:
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    wait_until(lambda: plane.api.find(account), f"{account} is made")


def test_the_controller_is_bound_to_no_cluster_role(roles: ControlPlane) -> None:
    bindings = roles.api.get("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings")["items"]
    subjects = [subject for one in bindings for subject in one.get("subjects", [])]
    assert "tunekeeper-controller" not in {subject["name"] for subject in subjects}
    deployment = "/apis/apps/v1/namespaces/tunekeeper-system/deployments/tunekeeper-controller"
    (container,) = roles.api.get(deployment)["spec"]["template"]["spec"]["containers"]
    variables = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert variables["TUNEKEEPER_WATCH_NAMESPACES"] == ",".join(DOCUMENTED)


def test_with_roles_alone_it_works_in_two_namespaces_and_does_not_see_a_third(
    roles: ControlPlane,
) -> None:
    first, second = DOCUMENTED
    with ExitStack() as stack:
        desk = stack.enter_context(operated(roles, first, watch_namespaces=",".join(DOCUMENTED)))
        kubelet = stack.enter_context(Kubelet(roles.api, second))
        other = Desk(roles, second, kubelet, {})
        other.process = desk.process
        strange = Desk(roles, STRANGE, kubelet, {})
        for one in (strange, desk, other):
            one.apply()
        desk.succeed()
        other.succeed()
        wait_until(lambda: other.events("Promote"), "its events are written there too")
        roles.api.delete(other.path())
        wait_until(lambda: other.jobs() == [], "its Jobs are gone", COLLECTED_S)
        assert strange.status()["observedGeneration"] == -1
        assert strange.jobs() == []
        assert "forbidden" not in desk.log().lower()


@contextmanager
def kept_to(plane: ControlPlane, namespace: str, watched: str) -> Iterator[Desk]:
    """An operator that is refused somewhere, which ``operated`` would not have."""
    with Kubelet(plane.api, namespace) as kubelet:
        desk = Desk(plane, namespace, kubelet, {"watch_namespaces": watched})
        try:
            desk.start()
            yield desk
        finally:
            desk.process.stop()


def is_open(desk: Desk, namespace: str) -> str:
    [value] = re.findall(
        rf'^tunekeeper_namespace_open{{namespace="{namespace}"}} (\S+)$',
        desk.read("/metrics"),
        re.MULTILINE,
    )
    return str(value)


def test_a_namespace_without_rights_is_told_and_stops_no_other_and_is_taken_up_when_they_come(
    roles: ControlPlane,
) -> None:
    home = DOCUMENTED[0]
    with kept_to(roles, home, f"{home},later") as desk:
        desk.apply("meanwhile")
        desk.succeed("meanwhile")
        assert (is_open(desk, home), is_open(desk, "later")) == ("1.0", "0.0")
        [line] = [line for line in desk.log().splitlines() if '"namespace later: ' in line]
        assert "manifests/namespaced/tenant" in line
        make_namespace(roles, "later")
        with Kubelet(roles.api, "later") as kubelet:
            later = Desk(roles, "later", kubelet, {})
            later.process = desk.process
            later.apply()
            role = "manifests/namespaced/tenant/role.yaml"
            roles.kubectl("apply", "-n", "later", "-f", ROOT / role)
            later.until(
                lambda status: status.get("phase") == "Running",
                "it is taken up",
                timeout_s=START_S,
            )
            assert is_open(desk, "later") == "1.0"
        roles.api.delete("/api/v1/namespaces/later")
        desk.apply("afterwards")
        desk.succeed("afterwards")
        assert '"reconcile failed' not in desk.log()
