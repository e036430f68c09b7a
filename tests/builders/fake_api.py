"""An API server in a dictionary: versions, uids, conflicts; it fails where it is told to."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from controller.kube.errors import ApiError
from controller.kube.resources import Resource

Json = dict[str, Any]
CREATED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC).isoformat()


@dataclass
class FakeApi:
    """Plays the client of ``controller.kube``; every request is in ``requests``."""

    objects: dict[tuple[str, str, str], Json] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None
    """Called with each request before it is answered; may raise, or change what is there."""
    after: Callable[[str], None] = lambda _: None
    """Called when the request was done and before the answer arrives; may raise."""
    _version: int = 100

    def put(self, resource: Resource, document: Json) -> Json:
        """Store a new version, as somebody else would."""
        self._version += 1
        meta = document["metadata"]
        key = (resource.plural, meta["namespace"], meta["name"])
        known = self.objects.get(key, {}).get("metadata", {})
        fresh = {
            "uid": known.get("uid") or meta.get("uid") or f"uid-{self._version}",
            "creationTimestamp": CREATED,
            "resourceVersion": str(self._version),
        }
        self.objects[key] = {**document, "metadata": {**meta, **fresh}}
        return self.objects[key]

    def all(self, resource: Resource) -> list[Json]:
        """What there is of a kind."""
        return [found for key, found in self.objects.items() if key[0] == resource.plural]

    def writes(self) -> list[str]:
        """The requests that change something."""
        return [said for said in self.requests if said.split()[0] not in ("GET", "LIST")]

    async def get(self, resource: Resource, namespace: str, name: str) -> bytes:
        """One object."""
        self._begin(f"GET {resource.plural}")
        return json.dumps(self._found(resource, namespace, name)).encode()

    async def list(
        self,
        resource: Resource,
        namespace: str,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> bytes:
        """Everything of a kind; selectors are taken as met."""
        del label_selector, field_selector
        self._begin(f"LIST {resource.plural}")
        items = [o for o in self.all(resource) if o["metadata"]["namespace"] == namespace]
        return json.dumps({"items": items}).encode()

    async def create(self, resource: Resource, namespace: str, body: bytes) -> bytes:
        """A new object; the name must be free."""
        self._begin(f"POST {resource.plural}")
        document = json.loads(body)
        if (resource.plural, namespace, document["metadata"]["name"]) in self.objects:
            raise ApiError(409, "AlreadyExists", "already exists")
        made = self.put(resource, document)
        self.after(f"POST {resource.plural}")
        return json.dumps(made).encode()

    async def replace(
        self, resource: Resource, namespace: str, name: str, body: bytes, subresource: str = ""
    ) -> bytes:
        """The status, for exactly the version that there is."""
        assert subresource == "status"
        self._begin(f"PUT {resource.plural}")
        sent, known = json.loads(body), self._found(resource, namespace, name)
        if sent["metadata"]["resourceVersion"] != known["metadata"]["resourceVersion"]:
            raise ApiError(409, "Conflict", "the object has been modified")
        made = self.put(resource, {**known, "status": sent["status"]})
        self.after(f"PUT {resource.plural}")
        return json.dumps(made).encode()

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str,
        propagation: str = "Foreground",
    ) -> None:
        """The exact object, in the foreground: it stays, marked."""
        assert propagation == "Foreground"
        self._begin(f"DELETE {resource.plural}")
        known = self._found(resource, namespace, name)
        if known["metadata"]["uid"] != uid:
            raise ApiError(409, "Conflict", "another uid")
        self.put(
            resource,
            {**known, "metadata": {**known["metadata"], "deletionTimestamp": CREATED}},
        )

    def _begin(self, request: str) -> None:
        self.requests.append(request)
        self.before(request)

    def _found(self, resource: Resource, namespace: str, name: str) -> Json:
        found = self.objects.get((resource.plural, namespace, name))
        if found is None:
            raise ApiError(404, "NotFound", "not found")
        return found
