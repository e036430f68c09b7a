"""What a Lease says, and what may be written into it. Pure: documents in, documents out."""

from datetime import datetime
from typing import Any

from controller.kube.clock import micro_time
from controller.kube.resources import LEASES

Document = dict[str, Any]
"""A whole Lease: what others put into it must survive our writing."""


def new_lease(
    namespace: str, name: str, identity: str, duration_s: float, now: datetime
) -> Document:
    """The first Lease, held by us."""
    lease: Document = {
        "apiVersion": LEASES.api_version,
        "kind": LEASES.kind,
        "metadata": {"namespace": namespace, "name": name},
    }
    taken = held(lease, identity, duration_s, now)
    taken["spec"]["leaseTransitions"] = 0
    return taken


def held(lease: Document, identity: str, duration_s: float, now: datetime) -> Document:
    """Ours, renewed or taken over; the resource version in it guards the write."""
    spec = dict(spec_of(lease))
    if holder_of(lease) != identity:
        spec["acquireTime"] = micro_time(now)
        spec["leaseTransitions"] = _whole(spec.get("leaseTransitions")) + 1
    spec["holderIdentity"] = identity
    # whole seconds in the API; rounded up, as others wait for this long
    spec["leaseDurationSeconds"] = max(1, -int(-duration_s // 1))
    spec["renewTime"] = micro_time(now)
    return {**lease, "spec": spec}


def released(lease: Document, now: datetime) -> Document:
    """Nobody's: the next one need not wait."""
    spec = {
        **spec_of(lease),
        "holderIdentity": "",
        "leaseDurationSeconds": 1,
        "renewTime": micro_time(now),
    }
    return {**lease, "spec": spec}


def spec_of(lease: Document) -> Document:
    """Its spec; empty when there is none."""
    spec = lease.get("spec")
    return spec if isinstance(spec, dict) else {}


def holder_of(lease: Document) -> str:
    """Who holds it; empty for nobody."""
    return str(spec_of(lease).get("holderIdentity") or "")


def duration_of(lease: Document, default_s: float) -> float:
    """How long its holder may be silent."""
    return float(_whole(spec_of(lease).get("leaseDurationSeconds"))) or default_s


def _whole(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
