"""The API server of the world: selectors, a log for watches, and laws at each write."""

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from builders.fake_api import FakeApi, Json
from builders.jobs import START

from controller.api.meta import rfc3339
from controller.kube.errors import ApiError, TransportError
from controller.kube.resources import Resource

Change = tuple[str, Json]
"""ADDED, MODIFIED or DELETED, and the object."""


@dataclass
class WorldApi(FakeApi):
    """What every process and every person talks to."""

    now: datetime = START
    log: dict[str, list[Change]] = field(default_factory=lambda: defaultdict(list))
    is_away: bool = False
    on_create: Callable[[Json], None] = lambda _: None
    """A controller creates a Job: called just before it is there."""
    on_delete: Callable[[Json], None] = lambda _: None
    on_status: Callable[[Json, Json], None] = lambda _old, _new: None

    def put(self, resource: Resource, document: Json) -> Json:
        meta = document["metadata"]
        key = (resource.plural, meta["namespace"], meta["name"])
        known = self.objects.get(key)
        made = super().put(resource, document)
        created = known["metadata"]["creationTimestamp"] if known else rfc3339(self.now)
        made["metadata"]["creationTimestamp"] = created
        self.log[resource.plural].append(("MODIFIED" if known else "ADDED", made))
        return made

    def remove(self, resource: Resource, document: Json) -> None:
        """It is gone."""
        meta = document["metadata"]
        self._version += 1
        gone = self.objects.pop((resource.plural, meta["namespace"], meta["name"]))
        self.log[resource.plural].append(("DELETED", gone))

    def find(self, resource: Resource, name: str) -> Json | None:
        """In the one namespace that there is."""
        return self.objects.get((resource.plural, "ml", name))

    async def list(
        self,
        resource: Resource,
        namespace: str,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> bytes:
        del field_selector
        self._begin(f"LIST {resource.plural}")
        wanted = dict(part.split("=") for part in label_selector.split(",") if part)
        items = [o for o in self.all(resource) if o["metadata"]["namespace"] == namespace]
        items = [o for o in items if wanted.items() <= o["metadata"].get("labels", {}).items()]
        return json.dumps({"items": items}).encode()

    async def create(self, resource: Resource, namespace: str, body: bytes) -> bytes:
        document = json.loads(body)
        assert document["metadata"]["namespace"] == namespace
        self._begin(f"POST {resource.plural}")
        if self.find(resource, document["metadata"]["name"]) is not None:
            raise ApiError(409, "AlreadyExists", "already exists")
        self.on_create(document)
        made = self.put(resource, document)
        self.after(f"POST {resource.plural}")
        return json.dumps(made).encode()

    async def replace(
        self, resource: Resource, namespace: str, name: str, body: bytes, subresource: str = ""
    ) -> bytes:
        assert subresource == "status"
        self._begin(f"PUT {resource.plural}")
        sent, known = json.loads(body), self._found(resource, namespace, name)
        for field_name in ("resourceVersion", "uid"):
            asked = sent["metadata"].get(field_name)
            if asked is not None and asked != known["metadata"][field_name]:
                raise ApiError(409, "Conflict", "the object has been modified")
        self.on_status(known, sent["status"])
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
        assert propagation == "Foreground"
        self._begin(f"DELETE {resource.plural}")
        known = self.objects.get((resource.plural, namespace, name))
        if known is None:
            return
        if known["metadata"]["uid"] != uid:
            raise ApiError(409, "Conflict", "another uid")
        self.on_delete(known)
        meta = {
            **known["metadata"],
            "deletionTimestamp": rfc3339(self.now),
            "finalizers": ["foregroundDeletion"],
        }
        self.put(resource, {**known, "metadata": meta})
        self.after(f"DELETE {resource.plural}")

    def _begin(self, request: str) -> None:
        if self.is_away:
            self.requests.append(request)
            raise TransportError("no answer")
        super()._begin(request)
