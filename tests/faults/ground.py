"""A control plane for cases: the CRDs, the operator's rights, and Leases in every namespace."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from builders.operated import ACCOUNT
from cluster.plane import ControlPlane
from faults.rig import LEASE_ROLE

ROOT = Path(__file__).parents[2]
CRDS = ROOT / "manifests" / "crd"
RBAC = ROOT / "manifests" / "rbac"


@contextlib.contextmanager
def prepared_plane() -> Iterator[ControlPlane]:
    """Started, and ended at the end."""
    crds = sorted(path for path in CRDS.glob("*.yaml") if path.name != "kustomization.yaml")
    with ControlPlane(early=crds) as plane:
        plane.api.post("/api/v1/namespaces", {"metadata": {"name": ACCOUNT[1]}})
        plane.kubectl("apply", "-k", RBAC)
        plane.api.post("/apis/rbac.authorization.k8s.io/v1/clusterroles", lease_role())
        yield plane


def lease_role() -> dict[str, object]:
    """What manifests/rbac gives in the operator's own namespace: here in each case's."""
    verbs = ["create", "get", "update"]
    rule = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": verbs}
    return {"metadata": {"name": LEASE_ROLE}, "rules": [rule]}
