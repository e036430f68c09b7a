"""BaseModels under a real operator: what a person does with them and sees of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from builders.operated import Desk
from cluster.api import Json
from cluster.errandpod import ErrandPod

NAME = "tiny"
SOURCE: Json = {"huggingFace": {"repo": "acme/tiny"}}
CHECK = "tunekeeper.dev/check"


@dataclass
class BaseDesk:
    """One BaseModel of a desk's namespace, in short words."""

    desk: Desk
    name: str = NAME

    @property
    def all(self) -> str:
        """Where they are."""
        return f"/apis/tunekeeper.dev/v1alpha1/namespaces/{self.desk.namespace}/basemodels"

    @property
    def path(self) -> str:
        """Where it is."""
        return f"{self.all}/{self.name}"

    def apply(self, **spec: Any) -> Json:
        """Create it."""
        body = {
            "apiVersion": "tunekeeper.dev/v1alpha1",
            "kind": "BaseModel",
            "metadata": {"name": self.name},
            "spec": {"source": SOURCE, "settleSeconds": 1, **spec},
        }
        return self.desk.plane.api.post(self.all, body)

    def edit(self, **spec: Any) -> Json:
        """Change some of its spec."""
        return self.desk.plane.api.patch(self.path, {"spec": spec})

    def check(self, value: str) -> Json:
        """Ask for a look now."""
        return self.desk.plane.api.patch(self.path, {"metadata": {"annotations": {CHECK: value}}})

    def seen(self) -> Json:
        """As it is now."""
        return self.desk.plane.api.get(self.path)

    def status(self) -> Json:
        """Its status now."""
        return dict(self.seen().get("status", {}))

    def look(self, number: int = 0) -> ErrandPod:
        """The pod of a look."""
        return self.desk.kubelet.errand("resolve", number=number)

    def writing(self, number: int = 0) -> ErrandPod:
        """The pod of a write-back."""
        return self.desk.kubelet.errand("write-back", number=number)

    def resolved(self, name: str = "a", **spec: Any) -> Json:
        """Created, and looked at for the first time."""
        self.apply(**spec)
        self.look(1).found(name)
        return self.until_ready("True", "Resolved")

    def until(self, is_true: Callable[[Json], object], what: str) -> Json:
        """Its status, once that is so."""
        return self.desk.until_of(self.path, is_true, what)

    def until_ready(self, truth: str, reason: str) -> Json:
        """Its status, once its condition Ready says that."""

        def check(status: Json) -> bool:
            found = ready(status)
            return (found.get("status"), found.get("reason")) == (truth, reason)

        return self.until(check, f"Ready is {truth}/{reason}")

    def until_ended(self, number: int) -> Json:
        """Its status, once the end of that errand is in it."""

        def check(status: Json) -> bool:
            errand = status.get("errand", {})
            is_later = errand.get("number", 0) > number
            return is_later or (errand.get("number") == number and "endTime" in errand)

        return self.until(check, f"errand {number} has ended")

    def events(self, reason: str = "") -> list[Json]:
        """Events about BaseModels of the namespace."""
        path = f"/apis/events.k8s.io/v1/namespaces/{self.desk.namespace}/events"
        found = self.desk.plane.api.get(path)["items"]
        ours = [one for one in found if one["regarding"].get("kind") == "BaseModel"]
        return [one for one in ours if not reason or one["reason"] == reason]

    def versions(self, since: Json) -> list[Json]:
        """Every version of it since then."""
        lines = self.desk.writes(self.all, since)
        return [line["object"] for line in lines if line["type"] != "DELETED"]


def ready(status: Json) -> Json:
    """The condition; empty when it is absent."""
    known = status.get("conditions", [])
    return next((one for one in known if one["type"] == "Ready"), {})
