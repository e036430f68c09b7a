"""Where a kind lives on an API server."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Resource:
    """One kind of object and its place in the API."""

    group: str
    """Empty for the core group."""
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """As documents write it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """The URL path; without a namespace that of all namespaces, or of a cluster-wide object."""
        root = "/apis" if self.group else "/api"
        place = f"/namespaces/{namespace}" if namespace else ""
        tail = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{root}/{self.api_version}{place}/{self.plural}{tail}"


JOBS = Resource("batch", "v1", "jobs", "Job")
PODS = Resource("", "v1", "pods", "Pod")
EVENTS = Resource("events.k8s.io", "v1", "events", "Event")
CORE_EVENTS = Resource("", "v1", "events", "Event")
"""The same events by their older name, which can be selected by ``involvedObject.uid``."""
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
