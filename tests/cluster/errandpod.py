"""One pod of an errand of a BaseModel, played by the test."""

from typing import Any

from cluster.pod import LABEL, Pod

from trainer.contract.errand import (
    Errand,
    ErrandDetails,
    ErrandOutcome,
    ModelRevision,
    ResolveRequest,
    WriteBackRequest,
)
from trainer.contract.request import joined_request

ERRAND = f"{LABEL}/errand"


def content(name: str) -> str:
    """The digest of what is called by one character from a to f."""
    return f"sha256:{name * 64}"


class ErrandPod(Pod):
    """As a stage's pod, with an errand's request and last word."""

    @property
    def errand(self) -> Errand:
        """Which errand it is."""
        return Errand(self.labels[ERRAND])

    @property
    def number(self) -> int:
        """Of the errand."""
        return int(self.labels[f"{LABEL}/number"])

    @property
    def asked(self) -> ResolveRequest | WriteBackRequest:
        """What the errand is told to do."""
        env = {entry["name"]: entry.get("value", "") for entry in self.container["env"]}
        kind = ResolveRequest if self.errand is Errand.RESOLVE else WriteBackRequest
        return kind.model_validate_json(joined_request(env))

    def found(self, name: str) -> "ErrandPod":
        """The look found ``a``, or ``a2``: its content after an edit of the README."""
        revision = ModelRevision(revision=f"rev-{name}", content_digest=content(name[0]))
        return self.running().succeeded(found=revision)

    def word(self, details: Any = None, **fields: Any) -> str:
        """Its two lines, as the trainer writes them."""
        told = {"errand": self.errand, "uid": self.labels[f"{LABEL}/uid"], "number": self.number}
        outcome = ErrandOutcome.model_validate(told | fields)
        first = outcome.model_dump_json(exclude_none=True)
        return f"{first}\n{(details or ErrandDetails()).model_dump_json()}\n"
