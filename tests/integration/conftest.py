"""A real API server for every test of this folder: one per process, one namespace per test.

Nothing here may be skipped: a program that is missing is built, and what cannot be built is an
error that says what to do.
"""

import functools
import re
import secrets
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from cluster.plane import ControlPlane
from cluster.process import wait_until

ROOT = Path(__file__).parents[2]
CRDS = ROOT / "manifests" / "crd"
RBAC = ROOT / "manifests" / "rbac"
CONTROLLER = ("tunekeeper-controller", "tunekeeper-system")
"""Name and namespace of the ServiceAccount whose rights manifests/rbac gives."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.integration)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, object, object]:
    """A skipped test proves nothing, so it counts as failed."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: an integration test may not be skipped"
    return report


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    """The control plane, with the CRDs and, as far as they are there, the controller's rights."""
    crds = sorted(path for path in CRDS.glob("*.yaml") if path.name != "kustomization.yaml")
    with ControlPlane(early=crds) as plane:
        give_controller_its_rights(plane)
        yield plane


def give_controller_its_rights(plane: ControlPlane) -> None:
    """Exactly those of manifests/rbac; the account itself is part of them."""
    plane.api.post("/api/v1/namespaces", {"metadata": {"name": CONTROLLER[1]}})
    if RBAC.is_dir():
        plane.kubectl("apply", "-k", RBAC)


@pytest.fixture(scope="session")
def controller_kubeconfig(plane: ControlPlane) -> Path:
    """A kubeconfig with the rights that the controller has in a cluster, and no more."""
    return plane.kubeconfig_for(*CONTROLLER)


@pytest.fixture
def namespace(plane: ControlPlane, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh namespace under enforced restricted pod security, removed at the end."""
    with made_namespace(plane, request.node.name) as name:
        yield name


@pytest.fixture(scope="session")
def new_namespace(plane: ControlPlane) -> Callable[[str], AbstractContextManager[str]]:
    """The same for what several tests look at."""
    return functools.partial(made_namespace, plane)


@contextmanager
def made_namespace(plane: ControlPlane, title: str) -> Iterator[str]:
    """Named after the title."""
    plane.check()
    stem = re.sub(r"[^a-z0-9]+", "-", title.lower())[:40].strip("-")
    name = f"{stem}-{secrets.token_hex(3)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    plane.api.post("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    wait_until(lambda: plane.api.find(account), f"{account} is made")
    yield name
    remove(plane, name)


def remove(plane: ControlPlane, namespace: str) -> None:
    """Without waiting; pods that no kubelet ends would hold it up for ever."""
    plane.api.delete(f"/api/v1/namespaces/{namespace}")
    pods = f"/api/v1/namespaces/{namespace}/pods"
    for pod in plane.api.get(pods)["items"]:
        plane.api.raw("DELETE", f"{pods}/{pod['metadata']['name']}", {"gracePeriodSeconds": 0})
