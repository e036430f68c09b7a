"""Requests of a BaseModel's errands: whole and valid, changed by keyword; and their last word."""

from pathlib import Path
from typing import Any

from trainer.contract.errand import (
    ErrandDetails,
    ErrandOutcome,
    ModelRevision,
    ResolveRequest,
    WriteBackRequest,
)

IDENTITY = {
    "baseModel": {"namespace": "ml", "name": "tiny", "uid": "uid-1"},
    "number": 3,
}


def a_revision(revision: str = "a" * 40, digit: str = "0") -> ModelRevision:
    """A commit whose content digest repeats the digit."""
    return ModelRevision(revision=revision, content_digest="sha256:" + digit * 64)


def a_resolve(**fields: Any) -> ResolveRequest:
    """A look at a Hub's repository, the third errand of BaseModel ml/tiny."""
    document = {**IDENTITY, "source": {"huggingFace": {"repo": "acme/tiny"}}}
    return ResolveRequest.model_validate(document | fields)


def a_write_back(**fields: Any) -> WriteBackRequest:
    """A commit of a new revision of a Hub's repository."""
    document = {
        **IDENTITY,
        "source": {"huggingFace": {"repo": "acme/tiny"}},
        "git": {"url": "https://git.example/fleet"},
        "new": a_revision(),
    }
    return WriteBackRequest.model_validate(document | fields)


def errand_environment(root: Path, request: ResolveRequest | WriteBackRequest) -> dict[str, str]:
    """What a pod of the errand has, with every place below ``root``."""
    return {
        "TUNEKEEPER_REQUEST": request.model_dump_json(),
        "TUNEKEEPER_OUTCOME": str(root / "outcome"),
        "TUNEKEEPER_LISTEN": "0.0.0.0:9090",  # as every stage is told; nobody listens there
        "TUNEKEEPER_WORK": str(root / "work"),
        "TUNEKEEPER_FILE_ROOT": str(root),
    }


def read_last_word(root: Path) -> tuple[ErrandOutcome, ErrandDetails]:
    """Both lines; the second is empty where it was dropped."""
    first, *rest = (root / "outcome").read_text().splitlines()
    details = ErrandDetails.model_validate_json(rest[0]) if rest else ErrandDetails()
    return ErrandOutcome.model_validate_json(first), details
