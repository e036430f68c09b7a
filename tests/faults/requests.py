"""What a request of the operator is: a write of its work, or one of those that do not count."""

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from urllib.parse import parse_qs

from cluster.api import Json

LABEL = "tunekeeper.dev"
GROUPED, CORE = 4, 3
"""Parts of a path before the resource, but for a namespace: /apis/batch/v1/ and /api/v1/."""


class Sort(StrEnum):
    """Only writes are numbered: the rest depends on time, not on the work."""

    WRITE = "write"
    EVENT = "event"
    LEASE = "lease"
    WATCH = "watch"
    READ = "read"


@dataclass(frozen=True)
class Request:
    """One, as it came."""

    method: str
    path: str
    query: str = ""
    body: bytes = b""

    @cached_property
    def sort(self) -> Sort:
        """What it counts as."""
        if self.resource == "leases":
            return Sort.LEASE
        if self.method == "GET":
            return Sort.WATCH if parse_qs(self.query).get("watch") else Sort.READ
        return Sort.EVENT if self.resource == "events" else Sort.WRITE

    @cached_property
    def resource(self) -> str:
        """In the plural."""
        return self._tail[0] if self._tail else ""

    @cached_property
    def is_live_look(self) -> bool:
        """Whether it reads one FineTuneJob."""
        return self.method == "GET" and self.resource == "finetunejobs" and len(self._tail) > 1

    @cached_property
    def verb(self) -> str:
        """``post-jobs``, ``put-status``, ``delete-jobs``."""
        is_status = self._tail[2:] == ["status"]
        return f"{self.method.lower()}-{'status' if is_status else self.resource}"

    @cached_property
    def about(self) -> str:
        """The stage and attempt that a write is about, as far as it names them."""
        if self.method == "DELETE":
            return self._tail[-1].partition("-r")[2]
        labels = self._document.get("metadata", {}).get("labels", {})
        run = self._document.get("status", {}).get("run") or {
            name: labels.get(f"{LABEL}/{name}") for name in ("number", "stage", "attempt")
        }
        phase = self._document.get("status", {}).get("phase", "")
        told = (run.get("stage"), run.get("attempt"), phase.lower())
        return "-".join(str(part) for part in told if part)

    @cached_property
    def _document(self) -> Json:
        return dict(json.loads(self.body)) if self.body else {}

    @cached_property
    def _tail(self) -> list[str]:
        """Resource, name and subresource."""
        parts = self.path.strip("/").split("/")
        rest = parts[CORE - 1 :] if parts[0] == "api" else parts[GROUPED - 1 :]
        return rest[2:] if rest[:1] == ["namespaces"] and len(rest) > 2 else rest
