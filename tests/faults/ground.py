"""A control plane for cases: the CRDs, the operator's rights, and Leases in every namespace."""

import contextlib
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

from builders.operated import ACCOUNT
from cluster.plane import ControlPlane
from cluster.process import wait_until
from faults.rig import LEASE_ROLE, MUTANT_ROLE

ROOT = Path(__file__).parents[2]
KIND = "/apis/tunekeeper.dev/v1alpha1/finetunejobs"
RBAC = ROOT / "manifests" / "rbac"


@contextlib.contextmanager
def prepared_plane() -> Iterator[ControlPlane]:
    """Started, and ended at the end."""
    with ControlPlane(early=crds_of(ROOT)) as plane:
        plane.api.post("/api/v1/namespaces", {"metadata": {"name": ACCOUNT[1]}})
        plane.kubectl("apply", "-k", RBAC)
        for role in (lease_role(), mutant_role()):
            plane.api.post("/apis/rbac.authorization.k8s.io/v1/clusterroles", role)
        wait_until(lambda: plane.api.raw("GET", KIND)[0] == HTTPStatus.OK, f"{KIND} is served")
        yield plane


def apply_crds(plane: ControlPlane, root: Path) -> None:
    """Those of the release whose code is there."""
    for path in crds_of(root):
        plane.kubectl("apply", "--server-side", "-f", path)


def crds_of(root: Path) -> list[Path]:
    """The files."""
    folder = root / "manifests" / "crd"
    return [folder / f"{plural}.yaml" for plural in ("basemodels", "finetunejobs")]


def lease_role() -> dict[str, object]:
    """What manifests/rbac gives in the operator's own namespace: here in each case's."""
    verbs = ["create", "get", "update"]
    rule = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": verbs}
    return {"metadata": {"name": LEASE_ROLE}, "rules": [rule]}


def mutant_role() -> dict[str, object]:
    """What the operator needs only when its precondition is taken out."""
    rule = {"apiGroups": ["tunekeeper.dev"], "resources": ["finetunejobs/status"]}
    return {"metadata": {"name": MUTANT_ROLE}, "rules": [{**rule, "verbs": ["patch"]}]}
